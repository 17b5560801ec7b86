"""What serves this process: server, interface, slots and versions, as /healthz says them."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest

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


def interface(request: HttpRequest) -> str:
    return "ASGI" if isinstance(request, ASGIRequest) else "WSGI"


def server(request: HttpRequest) -> str:
    """Return the program and how it calls Django, as in 'gunicorn 27.0.1 (WSGI)'."""
    return f"{program()} ({interface(request)})"


def slots() -> str:
    return f"{settings.SLOTS} slots" if settings.SLOTS else "no slots"


@cache
def program() -> str:
    """Return the package whose command this process was started by, and its version."""
    name = Path(sys.argv[0]).name
    for command in metadata.entry_points(group="console_scripts", name=name):
        if command.dist:  # waitress-serve is the command of waitress
            return f"{command.dist.name} {command.dist.version}"
    return name  # started in another way than by its own command


def database() -> dict[str, Any] | None:
    """Return which database it is, and how many connections a worker may have; None if nothing limits them."""
    if not settings.DATABASE_URL:
        return None
    return {"vendor": connection.vendor, "pool": settings.DATABASE_POOL if connection.vendor == "postgresql" else None}


def describe(request: HttpRequest) -> dict[str, Any]:
    """Describe this deployment; `slots`: pages that can be worked on at once, None if CPU and memory decide."""
    return {
        "target": settings.TARGET,
        "server": server(request),
        "interface": interface(request),
        "workers": settings.WORKERS,
        "threads": settings.THREADS,
        "slots": settings.SLOTS,
        "api": settings.API_URL,
        "metrics_port": counters.metrics_port(),
        "python": platform.python_version(),
        "event_loop": getattr(request, "scope", {}).get("state", {}).get("event_loop"),
        "middleware_set": settings.MIDDLEWARE_SET,
        "middleware": settings.MIDDLEWARE,
        "database": database(),
        "packages": {name: metadata.version(name) for name in SAID if name.replace("-", "_") in sys.modules},
    }
