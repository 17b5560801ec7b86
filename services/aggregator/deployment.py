"""What this deployment is, and its pages: / for people, /healthz for programs."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_safe

from services.aggregator import article, identity
from services.aggregator.variants import STRATEGIES, VARIANTS
from services.aggregator.views import json_response
from services.telemetry import counters

SAID = (
    "django",
    "asgiref",
    "httpx",
    "httpx-aiohttp",
    "httpx2",
    "aiohttp",
    "gunicorn",
    "uvicorn",
    "uvloop",
    "httptools",
    "psycopg",
    "psycopg-pool",
)


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Describe this deployment; `slots`: pages that can be worked on at once, None if CPU and memory decide."""
    # The connections that a worker may have; None if nothing limits them.
    database_pool = settings.DATABASE_POOL if settings.DATABASE_URL and connection.vendor == "postgresql" else None
    return json_response(
        {
            "status": "ok",
            "target": settings.TARGET,
            "server": identity.server(request),
            "interface": identity.interface(request),
            "workers": settings.WORKERS,
            "threads": settings.THREADS,
            "slots": settings.SLOTS,
            "api": settings.API_URL,
            "metrics_port": counters.metrics_port(),
            "python": platform.python_version(),
            "event_loop": getattr(request, "scope", {}).get("state", {}).get("event_loop"),
            "middleware_set": settings.MIDDLEWARE_SET,
            "middleware": settings.MIDDLEWARE,
            "database": {"vendor": connection.vendor, "pool": database_pool} if settings.DATABASE_URL else None,
            "packages": {name: metadata.version(name) for name in SAID if name.replace("-", "_") in sys.modules},
            "pools": pools(request, database_pool),
            "strategies": {name: strategy.url_path for name, strategy in STRATEGIES.items()},
            "variants": variants(),
        }
    )


def variants() -> dict[str, str]:
    """Return the path of each variant that this deployment answers: those of queries need a database."""
    there = ((name, one.url_path) for name, one in VARIANTS.items() if settings.DATABASE_URL or not one.needs_database)
    return dict(there)


def pools(request: HttpRequest, database_pool: int | None) -> dict[str, int]:
    """Return the connections or threads that all pages of a strategy or variant share, in all workers."""
    under_asgi = identity.interface(request) == "ASGI"
    sizes = {
        name: getattr(settings, strategy.pool)
        for name, strategy in STRATEGIES.items()
        if strategy.pool and (under_asgi or strategy.pool != "MAX_CONNECTIONS")  # else a client is its page's own
    }
    if database_pool:
        sizes |= {name: database_pool for name, variant in VARIANTS.items() if variant.needs_database}
    return {name: settings.WORKERS * size for name, size in sizes.items()}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    pages = {
        "Strategies": [strategy.url_path for strategy in STRATEGIES.values()],
        "The articles' views": [f"/{pattern.pattern}" for pattern in article.urlpatterns],
        "Variants": list(variants().values()),
        "This deployment": ["/healthz"],
    }
    body = format_html_join("", "<h2>{}</h2><ul>{}</ul>", ((name, links(paths)) for name, paths in pages.items()))
    slots = f"{settings.SLOTS} slots" if settings.SLOTS else "no slots"
    title = f"{identity.server(request)}, {slots}"
    return HttpResponse(format_html(PAGE, title=title, body=body))


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body {{ font: 17px/1.5 system-ui, sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }}</style>
<h1>{title}</h1>{body}</html>
"""


def links(paths: list[str]) -> str:
    return format_html_join("", '<li><a href="{}">{}</a></li>', ((path, path) for path in paths))
