"""Deployments that run already: the load generator alone, as a process of this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from loadtests.errors import BadInput
from loadtests.host.own import copied, load_of
from loadtests.host.processes import ProcessRuntime
from loadtests.model import knobs
from loadtests.model.addresses import urls


class ElsewhereRuntime(ProcessRuntime):
    """Starts nothing but the load generator, and tells it where the targets are."""

    limits = "the lab did not start them, and sees their answers alone"
    warnings = (f"Not isolated: {limits}.",)

    def __init__(self, logs: Path, targets: Mapping[str, str]) -> None:
        super().__init__(logs)
        self._targets = targets

    def up(self, services: Sequence[str]) -> None:
        """Leave them as they are."""

    def _url(self, service: str, port: int = 0) -> str:
        return self._targets[service]


@dataclass(frozen=True)
class Elsewhere:
    """Deployments by name and URL, and the file that says what their users ask for."""

    urls: Mapping[str, str]
    load: Path
    name: str

    @property
    def words(self) -> str:
        return ", ".join(f"{name} at {url}" for name, url in self.urls.items())

    @contextmanager
    def staged(self, folder: Path, runtime: str, note: Callable[..., None]) -> Iterator[dict[str, str]]:
        """Put what users do into the run's folder, until the end. Raises LabDown."""
        with copied(self.load, folder / self.name):
            yield {}


def asked(environment: Mapping[str, str]) -> Elsewhere | None:
    """Return the deployments that TARGETS names; None if it is not set. Raises BadInput."""
    if not (text := environment.get("TARGETS")):
        return None
    found = urls(text)
    for other in ("APP", "IMAGE"):
        if environment.get(other):
            raise BadInput(f"TARGETS and {other} exclude each other: the first runs already, the lab starts the second")
    remote = knobs.switch("REMOTE", environment.get("REMOTE", ""))
    for name, url in found.items():
        for address in addresses(name, url):
            if not remote and not is_here(address):
                raise BadInput(
                    f"TARGETS: {name} at {url} is not on this machine ({address}). Load it only if it is yours and "
                    "nobody depends on it; then say so with REMOTE=yes."
                )
    return Elsewhere(found, *load_of(environment, Path()))


def addresses(name: str, url: str) -> list[str]:
    """Return the addresses that a URL leads to. Raises BadInput where there is none."""
    parts = urlsplit(url)
    try:
        answers = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadInput(f"TARGETS: the host of {name} at {url} is not known: {error}") from error
    return sorted({str(address[0]) for *_, address in answers})


def is_here(address: str) -> bool:
    """Return whether the address is one of this machine's own: whoever has it can listen there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
