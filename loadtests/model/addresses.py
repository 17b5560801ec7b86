"""Where targets are: name → URL."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from loadtests.errors import BadInput

NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


def urls(text: str) -> dict[str, str]:
    """Parse 'wsgi=http://wsgi:8000 asgi=http://asgi:8000' into URLs by name. Raises BadInput."""
    found: dict[str, str] = {}
    for word in text.split():
        name, _, url = word.partition("=")
        if not NAME.fullmatch(name) or not is_base(url):
            raise BadInput(f"TARGETS must be words like wsgi=http://wsgi:8000; one is {word[:80]!r}")
        if name in found:
            raise BadInput(f"TARGETS names {name} twice: give each target a name of its own")
        found[name] = url.rstrip("/")
    if not found:
        raise BadInput("TARGETS is empty; compose.yaml sets it at the service locust")
    return found


def is_base(url: str) -> bool:
    """Return whether it is http://host:port alone, without a path and without a password."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "http" and parts.path in {"", "/"} and not parts.query and not parts.fragment
        return plain and bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        return False
