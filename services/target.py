"""What this target is, as its environment declares it and as it says to the lab."""

from __future__ import annotations

import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from services import env

INTERFACE = env.choice("INTERFACE", ("wsgi", "asgi"))
WORKERS = env.whole("WORKERS", 1, 64)
THREADS = env.whole("THREADS", 1, 10_000) if INTERFACE == "wsgi" else None  # under ASGI a page occupies none
SLOTS = WORKERS * THREADS if THREADS else None  # pages that can be worked on at once; None: CPU and memory decide
DECLARED = {"target": env.text("TARGET"), "interface": INTERFACE.upper(), "workers": WORKERS, "slots": SLOTS}
# What a project of somebody's own says as well: what serves it, and its one kind of page.
OWN: dict[str, Any] = {
    **DECLARED,
    "server": f"{'gunicorn' if THREADS else 'uvicorn'} ({INTERFACE.upper()})",
    "pools": {},
    "strategies": {"pages": "/"},
}
SERVERS = ("django", "asgiref", "gunicorn", "uvicorn", "uvloop", "httptools")


@cache
def server() -> str:
    """Return the program that this process was started by and how it calls the app, as in 'gunicorn 27.0.1 (WSGI)'."""
    name = Path(sys.argv[0]).name
    for command in metadata.entry_points(group="console_scripts", name=name):
        if command.dist:  # waitress-serve is the command of waitress
            name = f"{command.dist.name} {command.dist.version}"
    return f"{name} ({INTERFACE.upper()})"


def versions(*names: str) -> dict[str, str]:
    """Return the versions of the packages among these that this process has loaded."""
    return {name: metadata.version(name) for name in names if name.replace("-", "_") in sys.modules}
