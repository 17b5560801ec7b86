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
    under_asgi = identity.interface(request) == "ASGI"
    sizes = {
        name: getattr(settings, strategy.pool)
        for name, strategy in STRATEGIES.items()
        if strategy.pool and (under_asgi or strategy.pool != "MAX_CONNECTIONS")  # else a client is its page's own
    }
    if pool := (identity.database() or {}).get("pool"):
        sizes |= {name: pool for name, variant in VARIANTS.items() if variant.needs_database}
    return {name: settings.WORKERS * size for name, size in sizes.items()}
