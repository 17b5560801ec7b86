"""name → URL, and what each target says it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from loadtests.errors import BadInput, LabDown
from loadtests.model.target import Target

TIMEOUT = 10.0  # seconds
NAME = re.compile(r"[a-z][a-z0-9-]*")
_open = build_opener(ProxyHandler({})).open  # straight to the service, whatever proxy is configured


def urls(text: str, variable: str = "TARGETS") -> dict[str, str]:
    """'wsgi=http://wsgi:8000 asgi=http://asgi:8000' → URLs by name. Raises BadInput, which names the variable."""
    found: dict[str, str] = {}
    for word in text.split():
        name, _, url = word.partition("=")
        if not NAME.fullmatch(name) or urlsplit(url).scheme != "http" or not urlsplit(url).netloc:
            raise BadInput(f"{variable} must be words like wsgi=http://wsgi:8000; one is {word[:80]!r}")
        found[name] = url.rstrip("/")
    if not found:
        raise BadInput(f"{variable} is empty; compose.yaml sets it at the service locust")
    return found


def check_named(names: Iterable[str], found: Mapping[str, str], variable: str) -> None:
    """Raises BadInput where the variable gives one of the services no URL."""
    if missing := [name for name in names if name not in found]:
        raise BadInput(
            f"{variable} of the service locust in compose.yaml must give a URL to {', '.join(missing)}; add it there, "
            "as the others are"
        )


def ask(name: str, url: str) -> Target:
    """Raises LabDown when the target does not say who it is, or is another."""
    try:
        identity = json.loads(fetch(f"{url}/healthz"))
        if identity["target"] != name:
            raise LabDown(
                f"at {url} the target {name} should answer, and {str(identity['target'])[:80]!r} does. Stop what runs "
                "there; TARGETS and TARGET in compose.yaml must name a target alike."
            )
        interface, slots, workers = (identity[key] for key in ("interface", "slots", "workers"))
        return Target(name, url, interface, slots, paths(identity), workers, identity["pools"], identity)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabDown(f"the target {name} at {url} does not answer as an aggregator: {error!r}") from error


def paths(identity: Mapping[str, Any]) -> dict[str, str]:
    return {**identity["strategies"], **identity.get("variants", {})}


def fetch(url: str, timeout: float = TIMEOUT) -> str:
    """Raises OSError."""
    with _open(url, timeout=timeout) as response:
        return str(response.read().decode())
