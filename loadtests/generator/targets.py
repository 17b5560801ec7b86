"""name → URL, and what each target says it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from loadtests.errors import BadInput, LabDown
from loadtests.model.target import Target

TIMEOUT = 10.0  # seconds
NAME = re.compile(r"[a-z][a-z0-9-]*")
_open = build_opener(ProxyHandler({})).open  # straight to the service, whatever proxy is configured


def urls(text: str) -> dict[str, str]:
    """Parse 'wsgi=http://wsgi:8000 asgi=http://asgi:8000' into URLs by name. Raises BadInput."""
    found: dict[str, str] = {}
    for word in text.split():
        name, _, url = word.partition("=")
        if not NAME.fullmatch(name) or urlsplit(url).scheme != "http" or not urlsplit(url).netloc:
            raise BadInput(f"TARGETS must be words like wsgi=http://wsgi:8000; one is {word[:80]!r}")
        found[name] = url.rstrip("/")
    if not found:
        raise BadInput("TARGETS is empty; compose.yaml sets it at the service locust")
    return found


def ask(name: str, url: str) -> Target:
    """Ask a target what it is. Raises LabDown if it does not say, or is another."""
    try:
        identity = health(url)
        if identity["target"] != name:
            raise LabDown(
                f"at {url} the target {name} should answer, and {str(identity['target'])[:80]!r} does. Stop what runs "
                "there; TARGETS and TARGET in compose.yaml must name a target alike."
            )
        interface, slots, workers = (identity[key] for key in ("interface", "slots", "workers"))
        return Target(
            name=name,
            url=url,
            interface=interface,
            slots=slots,
            paths=paths(identity),
            workers=workers,
            pools=identity["pools"],
            identity=identity,
            metrics=metrics(url, identity),
            api_metrics=api_metrics(identity["api"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabDown(f"the target {name} at {url} does not answer as an aggregator: {error!r}") from error


def health(url: str) -> Any:
    """Return what a service says on /healthz. Raises OSError, ValueError."""
    return json.loads(fetch(f"{url}/healthz"))


def metrics(url: str, identity: Mapping[str, Any]) -> str:
    """Return the URL of a service's metrics, which are on a port of their own; empty where it has none."""
    port = identity["metrics_port"]
    return f"http://{urlsplit(url).hostname}:{port}" if port else ""


def api_metrics(api_url: str) -> str:
    """Return the same of the api; empty where it does not say: a run without it is invalid, but not impossible."""
    url = f"http://{urlsplit(api_url).netloc}"
    try:
        return metrics(url, health(url))
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def paths(identity: Mapping[str, Any]) -> dict[str, str]:
    return {**identity["strategies"], **identity.get("variants", {})}


def fetch(url: str, timeout: float = TIMEOUT) -> str:
    """Return the text at a URL. Raises OSError."""
    with _open(url, timeout=timeout) as response:
        return str(response.read().decode())
