"""name → URL, and what each target says it is."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Collection, Mapping
from statistics import median
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import ProxyHandler, build_opener

from loadtests.errors import LabDown
from loadtests.model.target import Target

TIMEOUT = 10.0  # seconds
LONGEST_ROUND_TRIP = 2.0  # seconds
CONNECTIONS = 9  # of which the median is the round trip
open_url = build_opener(ProxyHandler({})).open  # straight to the service, whatever proxy is configured


def ask(name: str, url: str, paths_of_project: Collection[str] | None = None) -> Target:
    """Ask a target what it is. Raises LabDown if it does not say, or is another.

    `paths_of_project`: of a project of somebody's own, which has a path of the lab's beside these; None: of the lab.
    """
    try:
        identity = health(url) if paths_of_project is None else json.loads(fetch(own_identity(url, paths_of_project)))
        if identity["target"] != name:
            raise LabDown(
                f"at {url} the target {name} should answer, and {str(identity['target'])[:80]!r} does. Stop what runs "
                "there; TARGETS and TARGET in compose.yaml must name a target alike."
            )
        return Target(
            name=name,
            url=url,
            paths={**identity["strategies"], **identity.get("variants", {})},
            identity=identity,
            **{key: identity[key] for key in ("interface", "slots", "workers", "pools")},
            unpredicted=frozenset(identity.get("unpredicted", ())),
            metrics=metrics(url, identity),
            api_metrics=api_metrics(identity["api"]) if identity["api"] else "",
            round_trip=round_trip(url),
            api_round_trip=round_trip(identity["api"]) if identity["api"] else 0.0,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabDown(f"the target {name} at {url} does not answer as an aggregator: {error!r}") from error


def elsewhere(name: str, url: str) -> Target:
    """Return a target that the lab did not start: nothing is known of it but what its name declares."""
    interface = name.partition("-")[0].upper()
    identity = {"server": "started elsewhere", "variants": {}}
    interface = interface if interface in {"WSGI", "ASGI"} else ""
    return Target(name, url, interface, None, {"pages": "/"}, 1, {}, identity, round_trip=round_trip(url))


def own_identity(url: str, paths_of_project: Collection[str]) -> str:
    """Return where a project says what it is: a path of the lab's, or a port of the process beside an image."""
    if port := os.environ.get("IDENTITY_PORT"):
        return f"http://{urlsplit(url).hostname}:{port}"
    return f"{url}/.lab/identity?{urlencode([('path', path) for path in paths_of_project])}"


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


def round_trip(url: str) -> float:
    """Return the seconds from SYN to SYN/ACK, the median of some connections; 0 where the service cannot be reached.

    The kernel makes a connection, so this is the network's time alone, without that of the server's program.
    """
    try:
        parts = urlsplit(url)
        family, kind, *_, address = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)[0]
        taken = []
        for _ in range(CONNECTIONS):
            with socket.socket(family, kind) as connection:
                connection.settimeout(LONGEST_ROUND_TRIP)
                began = time.perf_counter()
                connection.connect(address)
                taken.append(time.perf_counter() - began)
        return median(taken)
    except OSError:
        return 0.0


def fetch(url: str, timeout: float = TIMEOUT) -> str:
    """Return the text at a URL. Raises OSError."""
    with open_url(url, timeout=timeout) as response:
        return str(response.read().decode())
