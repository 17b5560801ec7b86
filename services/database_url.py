"""DATABASE_URL → an entry of Django's DATABASES."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from services.env import BadEnvironment

FORMS = "sqlite:////absolute/path or postgres://user:password@host:port/name"
ENCODE = "percent-encode what is special in the user's name and the password, as %2F for a slash"


def bad(why: str) -> BadEnvironment:
    """Return what says why, without the URL itself, which may hold a password."""
    return BadEnvironment(f"environment: DATABASE_URL must be like {FORMS}; {why}")


def parse(url: str, pool: int, timeout: float) -> dict[str, Any]:
    """Parse a URL. `pool`: connections to PostgreSQL; `timeout`: seconds to get one of them. Raises BadEnvironment."""
    try:
        parts = urlsplit(url)
    except ValueError:  # it repeats parts of the URL
        raise bad(f"it cannot be taken apart: {ENCODE}") from None
    try:
        port = parts.port
    except ValueError:
        raise bad(f"its port is not a number from 0 to 65535; if that is no port, {ENCODE}") from None
    if parts.query or parts.fragment:
        raise bad("nothing may follow the name")
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme == "sqlite":
        if parts.netloc or name in {"", ":memory:"}:  # in memory every connection has a database of its own
            raise bad("it names no file")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    if parts.scheme not in {"postgres", "postgresql"}:
        raise bad(f"it begins with {parts.scheme[:20]!r}")
    if "@" in parts.path:
        raise bad(f"an @ follows its host: {ENCODE}")
    if not parts.hostname or not name:
        raise bad("it names no " + ("database" if parts.hostname else "host"))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname,
        "PORT": port or 5432,
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "OPTIONS": {"pool": {"min_size": 1, "max_size": pool, "timeout": timeout}},
    }
