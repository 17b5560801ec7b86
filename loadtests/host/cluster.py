"""What swarm.py and kubernetes.py share: an engine of several machines that exists, and images that its nodes have."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from loadtests.errors import BadInput, LabDown
from loadtests.host import render, runtime
from loadtests.host.compose import START_TIMEOUT, ComposeRuntime, ask_engine, depends_on, described, engine
from loadtests.host.shell import run_long
from loadtests.model import knobs
from loadtests.model.experiment import Experiment
from loadtests.model.service import ASSISTANT, GENERATOR
from loadtests.results import files as results

REGISTRY = re.compile(r"[a-z0-9][\w.-]*(:\d+)?(/[a-z0-9][\w.-]*)*", re.ASCII)
PULL_TIMEOUT = 600.0  # seconds that a node may take to fetch an image
# Of compose.yaml, as an engine needs them: Kubernetes' pods have many networks, and a NetworkPolicy guards the port.
VARIABLES: Mapping[str, Mapping[str, str]] = {
    "swarm": {"LAB_RUNTIME": "swarm"},
    "kubernetes": {"LAB_RUNTIME": "kubernetes", "TELEMETRY_READERS": "all"},
}
# Of the project's name. On a cluster that several people use, others have the same user's id on their own machines.
KIND = f"run-{sha256(socket.gethostname().encode()).hexdigest()[:6]}"
LOOK = 0.5  # seconds between two looks at what starts


def render_topology(engine: str, experiment: Experiment, folder: str) -> list[Path]:
    """Write what an experiment needs for an engine of several machines; return the files. Raises LabError."""
    variables = experiment.deployed(os.environ).deployment
    config = described({**variables, **VARIABLES[engine]})
    config["services"][GENERATOR]["environment"] |= runtime.addresses(experiment.targets)
    needs = {name: depends_on(service) for name, service in config["services"].items()}
    services = runtime.with_dependencies([*experiment.targets, GENERATOR], needs.__getitem__)
    files = render.manifests(config, services)
    if engine == "swarm":
        files = {"stack.yaml": render.stack(config, services)}
    os.umask(0o077)  # passwords are in them, as DATABASE_URL's
    for path, text in files.items():
        results.write(Path(folder or engine, path), text)
    return [Path(folder or engine, path) for path in files]


@dataclass(frozen=True)
class Node:
    """A machine of the cluster. `labels` begin with `lab.`, without it."""

    id: str
    name: str
    is_up: bool
    facts: Mapping[str, Any]
    labels: frozenset[str] = frozenset()


class ClusterRuntime(ComposeRuntime):
    """Starts the services on the nodes of a cluster as ComposeRuntime does here; Compose says what they are."""

    limits = "CPU and memory of each service are limited as compose.yaml says"
    warnings: tuple[str, ...] = (
        "Nobody looked at other programs on the nodes: the check `machine` knows nothing of them.",
    )

    def __init__(self) -> None:
        super().__init__(KIND)
        self._registry = (os.environ.get("LAB_REGISTRY") or "").rstrip("/")
        self._builds = knobs.switch("LAB_BUILD", os.environ.get("LAB_BUILD") or "yes")
        self._names: dict[str, str] = {}  # of the images, as the nodes know them
        self._placed: dict[str, Node] = {}  # what was started, by service
        self._replicas: dict[str, int] = {}  # of those services that have more than one
        if self._registry and not REGISTRY.fullmatch(self._registry):
            asked = self._registry[:80]
            raise BadInput(f"LAB_REGISTRY must be like registry.example:5000/lab; it is {asked!r}")
        if not self._builds:
            self.warnings = (*self.warnings, "The images are those that were there (LAB_BUILD=no), of whatever code.")

    def prepare(self, variables: Mapping[str, str] | None = None) -> None:
        super().prepare({**(variables or {}), **VARIABLES[self.name]})

    def _refuse_taken_ports(self, services: Iterable[str]) -> None:
        """Refuse none: no port is published."""

    def _build(self, services: Sequence[str]) -> None:
        """Build the images, and name each after its content: a node that has another build of it lacks the name."""
        if self._builds:
            super()._build(services)
        for service in services:
            image = self._image(service)
            self._built.add(image)
            if not self._builds:
                self._names[image] = self._prefixed(str(self._known[service]["image"]))
            elif image not in self._names:
                content = ask_engine("image", "inspect", "--format", "{{.Id}}", image).stdout.strip()
                self._names[image] = name = f"{self._prefixed(image)}:{content.removeprefix('sha256:')[:12]}"
                ask_engine("tag", image, name)
                if self._registry:
                    run_long([*engine(), "push", name], f"pushing {name} to LAB_REGISTRY")

    def _prefixed(self, image: str) -> str:
        return f"{self._registry}/{image}" if self._registry else image

    @property
    def _config(self) -> dict[str, Any]:
        """Return what Compose says of the services, with the images as the nodes know them."""
        services = {
            name: {**service, "image": self._names.get(self._image(name), self._image(name))}
            for name, service in self._services.items()
        }
        return {"name": self.project, "services": services, "networks": self._networks}

    def up(self, services: Sequence[str]) -> None:
        if lost := self.lost():
            raise LabDown(lost)
        super().up(services)

    def _assist(self, number: int) -> None:
        self._replicas[ASSISTANT] = number
        self._start([ASSISTANT])

    def _wait(self, services: Sequence[str]) -> None:
        """Wait until the services are up. Raises LabDown."""
        begun = latest = time.monotonic()
        while missing := sorted(set(services) - self._running()):
            state = self._why_missing(missing)
            now = time.monotonic()
            latest = now if state.is_pulling and now < begun + PULL_TIMEOUT else latest
            if state.is_final or now > latest + START_TIMEOUT:
                logs = self.last_words(missing[0])
                raise LabDown(f"the service {missing[0]} did not start: {state.words or 'no reason is known'}", logs)
            time.sleep(LOOK)

    def _why_missing(self, services: Sequence[str]) -> State:
        raise NotImplementedError

    def _nodes(self) -> list[Node]:
        raise NotImplementedError

    @property
    def _places(self) -> dict[str, Node]:
        """Return the nodes of what runs: what has been dropped meanwhile is on none."""
        return {name: node for name, node in self._placed.items() if name in {*self._started, GENERATOR}}

    def describe(self) -> Mapping[str, Any]:
        described, nodes, placed = {**super().describe()}, self._nodes(), self._places
        for service, node in placed.items():
            described[service] = {**described[service], "node": node.name}
        used = {node.name: node.facts for node in placed.values()}
        return {**described, "engine": f"{self.name} of {len(nodes)} nodes; {described['engine']}", "nodes": used}

    def lost(self) -> str:
        up = {node.id for node in self._nodes() if node.is_up}
        gone = {service: node for service, node in self._places.items() if up and node.id not in up}
        if not gone:  # or nobody who knows answers just now
            return ""
        names, services = ", ".join(sorted({node.name for node in gone.values()})), ", ".join(sorted(gone))
        return (
            f"the node {names} is down, and with it {services}: the run ends, and keeps the steps that were measured "
            "before. Bring the node back, then run again."
        )


def taken(name: str, removal: str) -> LabDown:
    """Return what is said where a run finds its name taken: users of two machines may have one id."""
    return LabDown(
        f"{name} is there already, of another user's run or of one that was killed. Choose a name of yours "
        f"(COMPOSE_PROJECT_NAME=…), or if nobody uses it remove it: {removal}"
    )


@dataclass(frozen=True)
class State:
    """Why a service is not up yet. `is_final`: it will not be."""

    words: str = ""
    is_pulling: bool = False
    is_final: bool = False
