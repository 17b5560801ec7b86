"""/healthz: what this deployment is, and the pages that it offers."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from services.aggregator import identity
from services.aggregator.variants import STRATEGIES, VARIANTS
from services.aggregator.views import json_response


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    return json_response(
        {
            "status": "ok",
            **identity.describe(request),
            "pools": pools(request),
            "strategies": {name: strategy.url_path for name, strategy in STRATEGIES.items()},
            "variants": {
                name: variant.url_path
                for name, variant in VARIANTS.items()
                if settings.DATABASE_URL or not variant.needs_database
            },
        }
    )


def pools(request: HttpRequest) -> dict[str, int]:
    """Return the connections or threads that all pages of a strategy or variant share, in all workers."""
    sizes = {"threadpool": settings.THREADPOOL}
    if identity.interface(request) == "ASGI":  # under WSGI a client lasts as long as its page
        sizes["gather"] = settings.MAX_CONNECTIONS
    if pool := (identity.database() or {}).get("pool"):
        sizes |= {name: pool for name, variant in VARIANTS.items() if variant.needs_database}
    return {name: settings.WORKERS * size for name, size in sizes.items()}
