"""The services as pods of a Kubernetes cluster that exists, in a namespace of their own, by `kubectl`.

The load generator runs in the pod of a Job (`kubectl exec`), so that its output and its end come here. Its folder is
copied there before it starts and back when it has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loadtests.errors import BadInput, LabDown
from loadtests.host import render, runtime
from loadtests.host.cluster import ClusterRuntime, Node, State, taken
from loadtests.host.shell import run_quiet
from loadtests.model.service import ASSISTANT, GENERATOR
from loadtests.results import files as results

# Why a container waits that will not start.
FINAL = {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
IMPATIENT = "--request-timeout=5s"  # kubectl tries some times; without it a cluster that is silent holds up everything
LONGEST_ANSWER = 180.0  # seconds; the end of a namespace has 120


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    """Run kubectl, which finds the cluster as it always does. Raises LabDown where it is missing, or does not end."""
    try:
        return run_quiet(["kubectl", *words], timeout=LONGEST_ANSWER)
    except subprocess.TimeoutExpired as error:
        said = f"`kubectl {' '.join(words[:2])} …` did not end in {LONGEST_ANSWER:.0f} s"
        raise LabDown(f"{said}. See whether the cluster answers: kubectl get nodes") from error
    except OSError as error:
        raise LabDown(f"kubectl: {error.strerror}. Install it, and give it a cluster (KUBECONFIG).") from error


def take_down(project: str) -> None:
    """Remove a project's namespace and all that is in it. Raises LabDown."""
    namespace = render.namespace(project)
    ended = ask("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s")
    if ended.returncode:
        words = f"the namespace {namespace} could not be removed. The next run tries again, or you do: "
        raise LabDown(f"{words}kubectl delete namespace {namespace}", runtime.plain(ended.stderr))


class KubernetesRuntime(ClusterRuntime):
    """Runs the services as Deployments. Nobody has run it on a cluster yet: docs/scale.md says what was tried."""

    name = "kubernetes"
    remove = staticmethod(take_down)

    def prepare(self, variables: Mapping[str, str] | None = None) -> None:
        if self._builds and not self._registry:
            raise BadInput(
                "LAB_REGISTRY must be set: nodes of a Kubernetes cluster fetch images from a registry. Set it to one, "
                "as in registry.example/lab, or set LAB_BUILD=no where the nodes have the images."
            )
        if not (nodes := self._ask_about("nodes").get("items")):
            raise LabDown("no Kubernetes cluster answers.", runtime.plain(ask("get", "nodes", IMPATIENT).stderr))
        self._overlay = render.BASE if sum(map(takes_pods, nodes)) > 1 else render.ONE_NODE
        super().prepare(variables)
        self._namespace = render.namespace(self.project)
        if self._ask_about("namespace", self._namespace, "--ignore-not-found"):
            raise taken(f"the namespace {self._namespace}", f"kubectl delete namespace {self._namespace}")

    def _ask_about(self, *words: str) -> dict[str, Any]:
        """Return what `kubectl get` says; nothing where it cannot say."""
        found: dict[str, Any] = json.loads(ask("get", *words, "--output=json", IMPATIENT).stdout or "{}")
        return found

    def _within(self, *words: str) -> subprocess.CompletedProcess[str]:
        return ask(f"--namespace={self._namespace}", *words)

    def _nodes(self) -> list[Node]:
        return [
            Node(
                id=node["metadata"]["name"],
                name=node["metadata"]["name"],
                is_up=is_ready(node),
                facts={
                    "cores": cores(node["status"]["capacity"]["cpu"]),
                    "memory": node["status"]["capacity"]["memory"],
                    "engine": node["status"]["nodeInfo"]["kubeletVersion"],
                },
            )
            for node in self._ask_about("nodes").get("items", ())
        ]

    def _pods(self) -> dict[str, list[dict[str, Any]]]:
        """Return the pods of each service."""
        pods: dict[str, list[dict[str, Any]]] = {}
        for pod in self._ask_about("pods", f"--namespace={self._namespace}").get("items", ()):
            pods.setdefault(pod["metadata"]["labels"].get(render.LABEL, ""), []).append(pod)
        return pods

    def _start(self, services: Sequence[str]) -> None:
        services = [*services, GENERATOR]
        with TemporaryDirectory(prefix="lab-") as folder:
            files = render.manifests(self._config, sorted({*self._started, GENERATOR}), self._replicas)
            for path, text in files.items():
                results.write(Path(folder, path), text)
            applied = ask("apply", "--kustomize", f"{folder}/{self._overlay}")
        if applied.returncode:
            raise LabDown("the manifests could not be applied.", runtime.plain(applied.stderr))
        self._wait(services)
        nodes = {node.id: node for node in self._nodes()}
        self._placed = {name: nodes[pods[0]["spec"]["nodeName"]] for name, pods in self._pods().items()}

    def _running(self) -> set[str]:
        found = self._pods()
        complete = {name for name, pods in found.items() if len(pods) >= self._replicas.get(name, 1)}
        return {name for name in complete if all(map(is_ready, found[name]))}

    def _why_missing(self, services: Sequence[str]) -> State:
        pods = [pod for service in services for pod in self._pods().get(service, ())]
        waiting = [
            state["waiting"]
            for pod in pods
            for status in pod["status"].get("containerStatuses", ())
            if "waiting" in (state := status["state"])
        ]
        unplaced = [
            condition["message"]
            for pod in pods
            for condition in pod["status"].get("conditions", ())
            if condition["status"] == "False" and condition["type"] == "PodScheduled" and "message" in condition
        ]
        words = [f"{one['reason']} {one.get('message', '')}".strip() for one in waiting] + unplaced
        reasons = {one["reason"] for one in waiting}
        return State("; ".join(words[:1]), "ContainerCreating" in reasons, bool(reasons & FINAL))

    def last_words(self, service: str) -> str:
        said = self._within("logs", f"--selector={render.LABEL}={service}", f"--tail={runtime.LOG_LINES}")
        return runtime.plain(said.stdout)

    def drop(self, services: Sequence[str]) -> None:
        if ours := self._started & set(services):
            self._within("delete", *(f"deployment/{name}" for name in sorted(ours)), "--ignore-not-found")
            self._started -= ours

    def generate(
        self, arguments: Sequence[str], targets: Sequence[str], folder: Path, assistants: int = 0
    ) -> subprocess.Popen[bytes]:
        self._end_generator()
        self._folder = folder
        if assistants:
            self._started.add(ASSISTANT)
            self._assist(assistants)
        self._pod = self._pods()[GENERATOR][0]["metadata"]["name"]
        self._there = f"{render.RESULTS}/{folder.name}"
        self._within("exec", self._pod, "--", "mkdir", "-p", self._there)
        for path in sorted(folder.iterdir()):
            self._copy(str(path), f"{self._pod}:{self._there}/{path.name}")
        variables = runtime.addresses(targets) | runtime.terminal_environment()
        words = [f"{name}={value}" for name, value in variables.items()]
        command = ["kubectl", f"--namespace={self._namespace}", "exec", "--stdin", self._pod, "--", "env", *words]
        command += ["python", "-m", "loadtests", *arguments, f"--folder={self._there}"]
        return runtime.start_generator(command, dict(os.environ))

    def _copy(self, here: str, there: str) -> None:
        copied = self._within("cp", here, there)
        if copied.returncode:
            raise LabDown(f"{here} could not be copied to {there}.", runtime.plain(copied.stderr))

    def bring_back(self, folder: Path) -> None:
        self._copy(f"{self._pod}:{self._there}", str(folder))

    def interrupt(self, generator: subprocess.Popen[bytes]) -> None:
        """End the generator's standard input: it stops, and writes what it has."""
        if generator.stdin:
            with suppress(BrokenPipeError):  # it has just ended, and did not read why
                generator.stdin.close()


def is_ready(described: Mapping[str, Any]) -> bool:
    """Return whether a pod or a node is ready, and not on its way out."""
    conditions = described["status"].get("conditions", ())
    deleted = "deletionTimestamp" in described["metadata"]
    return not deleted and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def takes_pods(node: Mapping[str, Any]) -> bool:
    """Return whether a node takes any pod: one that only manages the cluster has a taint."""
    keeps_out = any(taint["effect"] != "PreferNoSchedule" for taint in node["spec"].get("taints", ()))
    return is_ready(node) and not keeps_out


def cores(quantity: str) -> float:
    return float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)
