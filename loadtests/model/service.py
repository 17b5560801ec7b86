"""A service of compose.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GENERATOR, ASSISTANT = "locust", "locust-worker"
CLUSTERS = ("swarm", "kubernetes")  # engines of several machines
PORT, METRICS_PORT = 8000, 9000  # at which a service answers in its container, and reports what it does


@dataclass(frozen=True, slots=True)
class Service:
    """A service of compose.yaml with its variables filled in.

    `ports` are those that it listens on in a container and that are published, `exposed` those for the lab alone.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    probe: list[str]
    ports: list[int]
    exposed: list[int]
    depends_on: list[str]
    cpus: str | None  # cores; a local process is not held to them
    comes_first: bool = False  # where it and others want a core
    volumes: Mapping[str, str] = field(default_factory=dict)  # paths of this machine, by those that they have inside
