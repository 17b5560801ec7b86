"""The services as a stack of a Docker Swarm that exists, and the load generator as a container of this node.

The stack's network is attachable. So the generator is run as on one machine: by Compose, with its limits, its folder
here, and its output in this terminal.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from loadtests.errors import LabDown
from loadtests.host import render, runtime
from loadtests.host.cluster import LOOK, ClusterRuntime, Node, State, taken
from loadtests.host.compose import ask_engine, engine
from loadtests.host.shell import run_quiet
from loadtests.model.service import GENERATOR

REMOVAL_TIMEOUT = 60.0  # seconds
MISSING = "No such image"


def take_down(project: str) -> None:
    """Remove a stack and wait until its network is gone. Raises LabDown."""
    ended = ask_engine("stack", "rm", project)
    deadline = time.monotonic() + REMOVAL_TIMEOUT
    networks = ("network", "ls", "--quiet", "--filter", f"label=com.docker.stack.namespace={project}")
    while (left := ask_engine(*networks)).stdout or left.returncode:  # an engine that does not answer lists none
        if ended.returncode or time.monotonic() > deadline:
            words = f"the stack {project} could not be taken down. The next run tries again, or you do: "
            raise LabDown(f"{words}docker stack rm {project}", runtime.plain(ended.stderr))
        time.sleep(LOOK)


class SwarmRuntime(ClusterRuntime):
    """Runs the services as a stack."""

    name = "swarm"
    remove = staticmethod(take_down)

    def prepare(self, variables: Mapping[str, str] | None = None) -> None:
        swarm = json.loads(ask_engine("info", "--format", "{{json .Swarm}}").stdout or "{}")
        if not swarm.get("ControlAvailable"):
            raise LabDown(
                f"LAB_ENGINE=swarm needs an engine that manages a swarm; this one is {swarm.get('LocalNodeState')!r}. "
                "Run the lab on a manager node, or make this engine one: docker swarm init"
            )
        super().prepare(variables)
        self._here = str(swarm["NodeID"])
        if ask_engine("stack", "services", "--quiet", self.project).stdout:
            raise taken(f"the stack {self.project}", f"docker stack rm {self.project}")

    def _nodes(self) -> list[Node]:
        ids = ask_engine("node", "ls", "--quiet").stdout.split()
        return [
            Node(
                id=node["ID"],
                name=node["Description"]["Hostname"],
                is_up=node["Status"]["State"] == "ready" and node["Spec"]["Availability"] == "active",
                facts={
                    "cores": node["Description"]["Resources"]["NanoCPUs"] / 1e9,
                    "memory_bytes": node["Description"]["Resources"]["MemoryBytes"],
                    "engine": node["Description"]["Engine"]["EngineVersion"],
                },
                labels=frozenset(key for key, value in node["Spec"]["Labels"].items() if value == "true"),
            )
            for node in json.loads((ids and ask_engine("node", "inspect", *ids).stdout) or "[]")
        ]

    def _nodes_by_role(self) -> dict[str, Node]:
        """Return where to run what: all targets on one node, because a faster one must not decide between them.

        A label decides (`lab.targets=true`). Without one the targets are on another node than the load generator, and
        the api on a third, as far as there are so many.
        """
        up = [node for node in self._nodes() if node.is_up]
        here = next((node for node in up if node.id == self._here), None)
        if not here:
            remedy = f"Let it: docker node update --availability active {self._here}"
            raise LabDown(f"this node of the swarm takes no services (docker node ls). {remedy}")
        found = {role: node for role in render.ROLES for node in reversed(up) if f"lab.{role}" in node.labels}
        found.setdefault("generators", here)
        others = [node for node in up if node.id not in {here.id, found["generators"].id}]
        found.setdefault("targets", others[0] if others else here)
        apart = [node for node in others if node != found["targets"]]
        found.setdefault("api", apart[0] if apart else found["targets"])
        return found

    def _start(self, services: Sequence[str]) -> None:
        nodes = self._nodes_by_role()
        config = self._config
        placed = {name: nodes[render.role(name, config["services"][name])] for name in sorted(self._started)}
        self._placed = {**placed, GENERATOR: next(node for node in self._nodes() if node.id == self._here)}
        constraints = {role: f"node.id == {node.id}" for role, node in nodes.items()}
        text = render.stack(config, placed, constraints, self._replicas)
        login = ["--with-registry-auth"] if self._registry else []
        words = [*engine(), "stack", "deploy", "--resolve-image=never", *login, "--compose-file=-", self.project]
        deployed = run_quiet(words, input=text)
        if deployed.returncode:
            raise LabDown("the stack could not be deployed.", runtime.plain(deployed.stderr))
        self._wait(services)

    def _running(self) -> set[str]:
        said = ask_engine("stack", "services", "--format", "{{.Name}} {{.Replicas}}", self.project).stdout
        lines = [line.split() for line in said.splitlines()]
        complete = [name for name, replicas, *_ in lines if len(set(replicas.split("/"))) == 1]
        return {name.removeprefix(f"{self.project}_") for name in complete}

    def _why_missing(self, services: Sequence[str]) -> State:
        asked = ask_engine("stack", "ps", "--no-trunc", "--format", "{{json .}}", self.project).stdout
        tasks = list(map(json.loads, asked.splitlines()))
        for task in tasks:
            if MISSING in task["Error"]:
                there = [name for name, node in self._placed.items() if node.name == task["Node"]]
                images = " ".join(sorted({self._config["services"][name]["image"] for name in there}))
                return State(
                    f"the node {task['Node']} has no image {task['Image']}. Give it all that it runs (docker save "
                    f"{images} | ssh {task['Node']} docker load), or set LAB_REGISTRY to a registry of all nodes.",
                    is_final=True,
                )
        words = next((f"{task['Error']} ({task['Node']})" for task in tasks if task["Error"]), "")
        return State(words, any(task["CurrentState"].startswith("Preparing") for task in tasks))

    def ended(self) -> list[str]:
        return sorted(self._started - self._running())

    def last_words(self, service: str) -> str:
        words = ("service", "logs", "--raw", "--tail", str(runtime.LOG_LINES), f"{self.project}_{service}")
        said = ask_engine(*words)
        return runtime.plain(said.stdout + said.stderr)  # both are the service's

    def drop(self, services: Sequence[str]) -> None:
        if ours := self._started & set(services):
            ask_engine("service", "rm", *(f"{self.project}_{name}" for name in sorted(ours)))
            self._started -= ours

    def generate(
        self, arguments: Sequence[str], targets: Sequence[str], folder: Path, assistants: int = 0
    ) -> subprocess.Popen[bytes]:
        of_one_machine = ("build", "depends_on", "ports", "profiles", "networks")
        service = {
            key: value for key, value in self._config["services"][GENERATOR].items() if key not in of_one_machine
        }
        network = {"default": {"name": f"{self.project}_default", "external": True}}
        self._alone = NamedTemporaryFile("w", suffix=".json", encoding="utf-8")  # noqa: SIM115  # Compose reads it later
        json.dump({"name": self.project, "services": {GENERATOR: service}, "networks": network}, self._alone)
        self._alone.flush()
        self._instead = self._alone
        try:
            return super().generate(arguments, targets, folder, assistants)
        finally:
            self._instead = None
