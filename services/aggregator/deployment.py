"""What this deployment is, and its pages: / for people, /healthz for programs."""

from __future__ import annotations

import platform

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_safe

from services import target
from services.aggregator import article
from services.aggregator.registry import PAGES
from services.aggregator.variants import STRATEGIES, VARIANTS
from services.aggregator.views import json_response
from services.telemetry import counters, trace

CLIENTS = ("httpx", "httpx-aiohttp", "httpx2", "aiohttp", "psycopg", "psycopg-pool")


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Describe this deployment."""
    # The connections that a worker may have; None if nothing limits them.
    database_pool = settings.DATABASE_POOL if settings.DATABASE_URL and connection.vendor == "postgresql" else None
    return json_response(
        {
            "status": "ok",
            **target.DECLARED,
            "threads": target.THREADS,
            "server": target.server(),
            "api": settings.API_URL,
            "metrics_port": counters.METRICS_PORT,
            "trace": trace.ON,
            "python": platform.python_version(),
            "event_loop": getattr(request, "scope", {}).get("state", {}).get("event_loop"),
            "middleware_set": settings.MIDDLEWARE_SET,
            "middleware": settings.MIDDLEWARE,
            "database": {"vendor": connection.vendor, "pool": database_pool} if settings.DATABASE_URL else None,
            "packages": target.versions(*target.SERVERS, *CLIENTS),
            "pools": pools(database_pool),
            "strategies": {name: strategy.url_path for name, strategy in STRATEGIES.items()},
            "variants": variants(),
            "unpredicted": [name for name, kind in PAGES.items() if kind.unpredicted],
        }
    )


def variants() -> dict[str, str]:
    """Return the path of each variant that this deployment answers: those of queries need a database."""
    there = VARIANTS.items()
    return {name: kind.url_path for name, kind in there if settings.DATABASE_URL or kind.pool != "DATABASE_POOL"}


def pools(database_pool: int | None) -> dict[str, int]:
    """Return the connections or threads that all pages of a strategy or variant share, in all workers."""
    sizes = {"THREADPOOL": settings.THREADPOOL, "DATABASE_POOL": database_pool}
    if target.INTERFACE == "asgi":  # else a client is its page's own
        sizes["MAX_CONNECTIONS"] = settings.MAX_CONNECTIONS
    return {name: target.WORKERS * size for name, kind in PAGES.items() if (size := sizes.get(kind.pool))}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    pages = {
        "Strategies": [strategy.url_path for strategy in STRATEGIES.values()],
        "The articles' views": [f"/{pattern.pattern}" for pattern in article.urlpatterns],
        "Variants": list(variants().values()),
        "This deployment": ["/healthz"],
    }
    body = format_html_join("", "<h2>{}</h2><ul>{}</ul>", ((name, links(paths)) for name, paths in pages.items()))
    title = f"{target.server()}, {f'{target.SLOTS} slots' if target.SLOTS else 'no slots'}"
    return HttpResponse(format_html(PAGE, title=title, body=body))


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body {{ font: 17px/1.5 system-ui, sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }}</style>
<h1>{title}</h1>{body}</html>
"""


def links(paths: list[str]) -> str:
    return format_html_join("", '<li><a href="{}">{}</a></li>', ((path, path) for path in paths))
