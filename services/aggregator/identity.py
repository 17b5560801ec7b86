"""What serves this process: server and interface, as pages and /healthz say them."""

from __future__ import annotations

import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest


def interface(request: HttpRequest) -> str:
    return "ASGI" if isinstance(request, ASGIRequest) else "WSGI"


def server(request: HttpRequest) -> str:
    """Return the program and how it calls Django, as in 'gunicorn 27.0.1 (WSGI)'."""
    return f"{program()} ({interface(request)})"


@cache
def program() -> str:
    """Return the package whose command this process was started by, and its version."""
    name = Path(sys.argv[0]).name
    for command in metadata.entry_points(group="console_scripts", name=name):
        if command.dist:  # waitress-serve is the command of waitress
            return f"{command.dist.name} {command.dist.version}"
    return name  # started in another way than by its own command
