"""Runs on a cluster, with a client that records what it is told: `docker` of a swarm, `kubectl` of Kubernetes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadtests.command_line import main
from loadtests.errors import BadInput, ExitCode, LabDown
from loadtests.experiments import find
from loadtests.host import cluster, compose, kubernetes, launch, render, swarm, virtualenv
from loadtests.host.cluster import KIND, ClusterRuntime
from loadtests.host.kubernetes import KubernetesRuntime
from loadtests.host.swarm import SwarmRuntime
from loadtests.host.variables import OF_CLUSTERS
from loadtests.model.run_options import RunOptions
from loadtests.model.service import ASSISTANT, GENERATOR

PROJECT = f"lab-{KIND}-{os.getuid()}"
SERVICE = {"networks": {"default": None}, "command": ["serve"], "build": {}, "restart": "on-failure:3"}
CONFIG = {
    "name": "lab",
    "networks": {"default": {}},
    "services": {
        "api": {**SERVICE, "image": "lab-api"},
        "wsgi": {**SERVICE, "image": "lab-web", "environment": {"INTERFACE": "wsgi"}, "depends_on": {"api": {}}},
        "asgi": {**SERVICE, "image": "lab-web", "environment": {"INTERFACE": "asgi"}, "depends_on": {"api": {}}},
        GENERATOR: {**SERVICE, "image": "lab-locust", "environment": {}, "cpus": 1, "depends_on": {"wsgi": {}}},
        ASSISTANT: {**SERVICE, "image": "lab-locust", "profiles": ["generators"]},
    },
}


class Client:
    """Does as it is told, remembers it and starts nothing. `answers`: what a command that holds these words prints."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.given: dict[str, str] = {}  # standard input or the files of a folder, by command
        self.answers: dict[str, Callable[[], str]] = {}

    def run(self, words: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        told = " ".join(words)
        self.told.append(told)
        if "apply" in words:
            folder = Path(words[-1]).parents[0 if words[-1].endswith("base") else 1]
            self.given["apply"] = "".join(path.read_text() for path in sorted(folder.rglob("*.yaml")))
        if options.get("input"):
            self.given["stack deploy"] = options["input"]
        answer = next((answer for asked, answer in self.answers.items() if asked in told), str)()
        failed = answer == "fails"
        return subprocess.CompletedProcess(words, int(failed), "" if failed else answer, "")

    def start(self, words: Sequence[str], **_: Any) -> None:
        self.told.append(" ".join(words))

    def commands(self, words: str) -> list[str]:
        return [told for told in self.told if words in told]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    client.answers |= {
        "config --format": lambda: json.dumps(CONFIG),
        "version": lambda: "2.26.1",
        "image inspect --format {{.Id}}": lambda: "sha256:0123456789abcdef",
    }
    for name in OF_CLUSTERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(subprocess, "run", client.run)
    monkeypatch.setattr(subprocess, "Popen", client.start)
    for module in (compose, cluster):
        monkeypatch.setattr(module, "run_long", lambda words, *_: client.told.append(" ".join(words)))
    monkeypatch.setattr(cluster, "LOOK", 0)
    monkeypatch.setattr(cluster, "START_TIMEOUT", 0)
    return client


def swarm_node(name: str, state: str = "ready", **labels: str) -> dict[str, Any]:
    return {
        "ID": f"id-{name}",
        "Description": {
            "Hostname": name,
            "Resources": {"NanoCPUs": 4e9, "MemoryBytes": 8},
            "Engine": {"EngineVersion": "26"},
        },
        "Status": {"State": state},
        "Spec": {"Availability": "active", "Labels": labels},
    }


class Swarm:
    """What a swarm says of itself."""

    def __init__(self, client: Client) -> None:
        self.nodes = [swarm_node("here"), swarm_node("there")]
        self.up = ["api", "wsgi", "asgi"]
        self.tasks: list[dict[str, str]] = []
        client.answers |= {
            "info --format {{json .Swarm}}": lambda: '{"ControlAvailable": true, "NodeID": "id-here"}',
            "node ls": lambda: "\n".join(node["ID"] for node in self.nodes),
            "node inspect": lambda: json.dumps(self.nodes),
            "stack services --format": self.services,
            "stack ps": lambda: "\n".join(map(json.dumps, self.tasks)),
        }
        self.client = client

    def services(self) -> str:
        deployed = self.up if self.client.commands("stack deploy") else ()
        return "\n".join(f"{PROJECT}_{name} 1/1" for name in deployed)


@pytest.fixture
def engine(client: Client) -> Swarm:
    return Swarm(client)


def deployed() -> SwarmRuntime:
    """A runtime that has deployed a target."""
    runtime = SwarmRuntime()
    runtime.prepare()
    runtime.up(["wsgi"])
    return runtime


def placed(client: Client, service: str) -> str:
    described = client.given["stack deploy"].partition(f"\n  {service}:\n")[2]
    return described.partition('constraints:\n          - "node.id == id-')[2].partition('"')[0]


def test_the_targets_are_on_another_node_than_the_load_generator(client: Client, engine: Swarm) -> None:
    runtime = SwarmRuntime()
    runtime.prepare()
    runtime.up(["wsgi", "asgi"])
    assert [placed(client, name) for name in ("api", "wsgi", "asgi")] == ["there", "there", "there"]
    described = runtime.describe()
    assert (described["wsgi"]["node"], described[GENERATOR]["node"]) == ("there", "here")
    assert described["engine"].startswith("swarm of 2 nodes; ")
    assert described["nodes"]["there"]["cores"] == 4


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([swarm_node("here")], ("here", "here")),
        ([swarm_node("here"), swarm_node("second"), swarm_node("third")], ("third", "second")),
        ([swarm_node("here"), swarm_node("second", "down"), swarm_node("third")], ("third", "third")),
        (
            [swarm_node("here"), swarm_node("second"), swarm_node("third", **{"lab.targets": "true"})],
            ("second", "third"),
        ),
        ([swarm_node("here", **{"lab.targets": "true"}), swarm_node("second")], ("second", "here")),
    ],
    ids=["one node", "three nodes", "a node that is down", "a label for targets", "a label on this node"],
)
def test_nodes_are_shared_out_by_labels_or_else_by_what_there_is(
    nodes: list[dict[str, Any]], expected: tuple[str, str], client: Client, engine: Swarm
) -> None:
    engine.nodes = nodes
    deployed()
    assert (placed(client, "api"), placed(client, "wsgi")) == expected


def test_an_image_is_named_after_its_content_and_pushed_where_there_is_a_registry(
    client: Client, engine: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_REGISTRY", "registry.example:5000/lab/")
    deployed()
    name = "registry.example:5000/lab/lab-web:0123456789ab"
    assert f"docker tag lab-web {name}" in client.told
    assert f"docker push {name}" in client.told
    assert f'image: "{name}"' in client.given["stack deploy"]
    assert "--with-registry-auth" in client.commands("stack deploy")[0]


def test_without_a_build_the_images_are_those_that_are_there_and_a_warning_says_so(
    client: Client, engine: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_BUILD", "no")
    runtime = deployed()
    assert not client.commands(" build ")
    assert 'image: "lab-web"' in client.given["stack deploy"]
    assert any("LAB_BUILD=no" in warning for warning in runtime.warnings)


def test_the_load_generator_joins_the_stacks_network_with_the_limits_of_compose_yaml(
    client: Client, engine: Swarm, tmp_path: Path
) -> None:
    runtime = deployed()
    runtime.generate(["measure"], ["wsgi"], tmp_path)
    [command] = client.commands(" run --rm ")
    file = Path(command.partition("--file=")[2].split()[0])
    described = json.loads(file.read_text())
    assert described["networks"] == {"default": {"name": f"{PROJECT}_default", "external": True}}
    assert described["services"].keys() == {GENERATOR}
    assert described["services"][GENERATOR]["cpus"] == 1
    measure = "python -m loadtests measure --folder=/results"
    assert command.endswith(f"--env TARGETS=wsgi=http://wsgi:8000 {GENERATOR} {measure}")


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (
            {"Error": "No such image: lab-web:1", "CurrentState": "Rejected"},
            r"no image lab-web:1\. Give it all that it runs \(docker save lab-api:0123456789ab lab-web:0123456789ab \|",
        ),
        ({"Error": "no suitable node", "CurrentState": "Pending"}, "did not start: no suitable node"),
    ],
)
def test_a_service_that_does_not_start_is_named_with_the_reason(
    task: dict[str, str], sentence: str, client: Client, engine: Swarm
) -> None:
    engine.up = ["api"]
    engine.tasks = [{"Node": "there", "Image": "lab-web:1", **task}]
    runtime = SwarmRuntime()
    runtime.prepare()
    with pytest.raises(LabDown, match=sentence):
        runtime.up(["wsgi"])


def test_a_node_that_is_lost_is_named_with_what_ran_there(client: Client, engine: Swarm) -> None:
    runtime = deployed()
    assert runtime.lost() == ""
    engine.nodes[1]["Status"]["State"] = "down"
    assert runtime.lost().startswith("the node there is down, and with it api, wsgi: the run ends, and keeps")
    with pytest.raises(LabDown, match="the node there is down"):
        runtime.up(["asgi"])
    engine.nodes = []  # the manager does not answer: it may again
    assert runtime.lost() == ""


@pytest.mark.parametrize("state", ["inactive", "active"])
def test_an_engine_that_manages_no_swarm_is_refused(state: str, client: Client) -> None:
    client.answers["info --format {{json .Swarm}}"] = lambda: json.dumps({"LocalNodeState": state})
    with pytest.raises(LabDown, match=f"needs an engine that manages a swarm; this one is '{state}'"):
        SwarmRuntime().prepare()


def test_a_stack_of_somebody_else_is_left_alone(client: Client, engine: Swarm) -> None:
    client.answers["stack services --quiet"] = lambda: "abc"
    runtime = SwarmRuntime()
    with pytest.raises(LabDown, match=f"the stack {PROJECT} is there already, of another user's run"):
        runtime.prepare()
    runtime.down()
    assert not client.commands("stack rm")


def test_only_the_runs_own_stack_is_removed(client: Client, engine: Swarm) -> None:
    runtime = SwarmRuntime()
    runtime.prepare()
    runtime.up(["wsgi", "asgi"])
    runtime.drop(["asgi", "postgres"])
    runtime.down()
    assert client.commands("service rm") == [f"docker service rm {PROJECT}_asgi"]
    assert client.commands("stack rm") == [f"docker stack rm {PROJECT}"]


@pytest.mark.parametrize("runtime_class", [SwarmRuntime, KubernetesRuntime])
def test_a_service_that_was_dropped_is_on_no_node_any_more(
    runtime_class: type[ClusterRuntime], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_BUILD", "no")
    Swarm(client) if runtime_class is SwarmRuntime else Kubernetes(client)
    runtime = runtime_class()
    runtime.prepare()
    runtime.up(["wsgi", "asgi"])
    runtime.drop(["wsgi"])
    runtime.up(["asgi"])  # which runs
    described = runtime.describe()
    assert "wsgi" not in described
    assert described["asgi"]["node"] in {"there", "second"}


def test_a_manager_that_takes_no_services_is_refused(client: Client, engine: Swarm) -> None:
    engine.nodes[0]["Spec"]["Availability"] = "drain"
    runtime = SwarmRuntime()
    runtime.prepare()
    with pytest.raises(LabDown, match=r"takes no services .* docker node update --availability active id-here"):
        runtime.up(["wsgi"])


@pytest.mark.parametrize("networks", ["abc", "fails"], ids=["a network is left", "the engine does not answer"])
def test_a_stack_that_cannot_be_removed_is_said(networks: str, client: Client) -> None:
    client.answers |= {"stack rm": lambda: "fails", "network ls": lambda: networks}
    with pytest.raises(LabDown, match=f"or you do: docker stack rm {PROJECT}"):
        swarm.take_down(PROJECT)


def test_what_cannot_be_removed_is_said(client: Client) -> None:
    client.answers |= {"stack rm": lambda: "fails", "network ls": lambda: "abc", "delete namespace": lambda: "fails"}
    for take_down in (swarm.take_down, kubernetes.take_down):
        with pytest.raises(LabDown, match="The next run tries again, or you do: "):
            take_down(PROJECT)


def kubernetes_node(name: str, ready: str = "True", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}],
            "capacity": {"cpu": "3500m", "memory": "8Gi"},
            "nodeInfo": {"kubeletVersion": "v1.34"},
        },
    }


class Kubernetes:
    """What a cluster says of itself."""

    def __init__(self, client: Client) -> None:
        self.nodes = [kubernetes_node("first"), kubernetes_node("second")]
        self.pods = [self.pod(name) for name in ("api", "wsgi", "asgi", GENERATOR)]
        client.answers |= {
            "get nodes": lambda: json.dumps({"items": self.nodes}),
            "get pods": lambda: json.dumps({"items": self.pods if client.commands(" apply ") else []}),
        }

    @staticmethod
    def pod(name: str, ready: str = "True", **status: Any) -> dict[str, Any]:
        return {
            "metadata": {"name": f"{name}-x7", "labels": {render.LABEL: name}},
            "spec": {"nodeName": "first" if name == GENERATOR else "second"},
            "status": {"conditions": [{"type": "Ready", "status": ready}], **status},
        }


@pytest.fixture
def pods(client: Client, monkeypatch: pytest.MonkeyPatch) -> Kubernetes:
    monkeypatch.setenv("LAB_BUILD", "no")
    return Kubernetes(client)


def test_a_namespace_is_filled_and_emptied_and_the_results_come_back(
    client: Client, pods: Kubernetes, tmp_path: Path
) -> None:
    runtime = KubernetesRuntime()
    runtime.prepare()
    runtime.up(["wsgi", "asgi"])
    [applied] = client.commands("kubectl apply --kustomize")
    assert applied.endswith("/base")
    for text in ('kind: "Job"', f'namespace: "{PROJECT}"', 'image: "lab-web"'):
        assert text in client.given["apply"]
    described = runtime.describe()
    assert (described["wsgi"]["node"], described[GENERATOR]["node"]) == ("second", "first")
    assert described["nodes"]["second"]["cores"] == 3.5

    (tmp_path / "manifest.json").touch()
    runtime.generate(["measure", "--quick"], ["wsgi"], tmp_path)
    there, within = f"/results/{tmp_path.name}", f"kubectl --namespace={PROJECT}"
    generator = client.told[-1]
    assert f"{within} cp {tmp_path}/manifest.json locust-x7:{there}/manifest.json" in client.told
    assert generator.startswith(f"{within} exec --stdin locust-x7 -- env TARGETS=wsgi=http://wsgi:8000 ")
    assert generator.endswith(f"python -m loadtests measure --quick --folder={there}")
    runtime.bring_back(tmp_path)
    assert client.told[-1] == f"{within} cp locust-x7:{there} {tmp_path}"

    runtime.drop(["asgi"])
    assert client.told[-1] == f"{within} delete deployment/asgi --ignore-not-found"
    runtime.down()
    assert client.commands("delete namespace") == [
        f"kubectl delete namespace {PROJECT} --ignore-not-found --timeout=120s"
    ]


@pytest.mark.parametrize(
    ("second", "overlay"),
    [
        (kubernetes_node("second"), "base"),
        (kubernetes_node("second", "False"), "overlays/one-node"),
        (kubernetes_node("second", taints=[{"effect": "NoSchedule"}]), "overlays/one-node"),
        (kubernetes_node("second", taints=[{"effect": "PreferNoSchedule"}]), "base"),
    ],
    ids=["two nodes", "a node that is not ready", "a node that only manages", "a node that would rather not"],
)
def test_where_one_node_takes_pods_nothing_is_kept_apart(
    second: dict[str, Any], overlay: str, client: Client, pods: Kubernetes
) -> None:
    pods.nodes[0] = second | {"metadata": {"name": "second"}}
    pods.nodes[1] = kubernetes_node("first")
    runtime = KubernetesRuntime()
    runtime.prepare()
    if second["status"]["conditions"][1]["status"] == "True":
        runtime.up(["wsgi"])
        assert client.commands("apply")[0].endswith(f"/{overlay}")
    assert runtime._overlay == overlay  # noqa: SLF001  # a pod on a node that is not ready is a lost one


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImageNeverPull", "message": "not here"}}}]},
            "the service wsgi did not start: ErrImageNeverPull not here",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}]},
            "the service wsgi did not start: 0/2 nodes are available",
        ),
    ],
)
def test_a_pod_that_does_not_start_is_named_with_the_reason(
    status: dict[str, Any], sentence: str, client: Client, pods: Kubernetes
) -> None:
    pods.pods[1] = pods.pod("wsgi", "False", **status)
    runtime = KubernetesRuntime()
    runtime.prepare()
    with pytest.raises(LabDown, match=sentence):
        runtime.up(["wsgi"])


def test_what_the_load_generators_said_is_kept_when_their_namespace_goes(
    client: Client, pods: Kubernetes, tmp_path: Path
) -> None:
    pods.pods += [pods.pod(ASSISTANT), pods.pod(ASSISTANT)]
    client.answers["logs"] = lambda: "its last words"
    runtime = KubernetesRuntime()
    runtime.prepare()
    runtime.up(["wsgi"])
    runtime.generate([], ["wsgi"], tmp_path, assistants=2)
    runtime.down()
    assert (tmp_path / "logs" / f"{ASSISTANT}.log").read_text() == "its last words\n"
    assert client.commands("delete namespace")


@pytest.mark.parametrize(
    ("engine_name", "removal"),
    [("swarm", f"docker stack rm {PROJECT}"), ("kubernetes", f"kubectl delete namespace {PROJECT} --ignore")],
)
def test_the_next_launcher_removes_what_a_killed_one_left_on_a_cluster(
    engine_name: str, removal: str, client: Client
) -> None:
    assert launch.clean_up({"project": PROJECT, "engine": engine_name, "command": "make loadtest"})
    assert client.commands(removal)


def test_a_cluster_that_does_not_answer_is_said(client: Client, pods: Kubernetes) -> None:
    pods.nodes = []
    with pytest.raises(LabDown, match="no Kubernetes cluster answers"):
        KubernetesRuntime().prepare()


def test_a_cluster_that_does_not_end_a_command_is_said(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(words: Sequence[str], *, timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(LabDown, match="`kubectl delete namespace …` did not end in 180 s"):
        kubernetes.take_down(PROJECT)


def test_a_generator_that_has_ended_can_be_asked_to_stop(client: Client, pods: Kubernetes) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stdin = os.fdopen(writer, "wb")
    stdin.write(b"the node is down")
    KubernetesRuntime().interrupt(cast("subprocess.Popen[bytes]", SimpleNamespace(stdin=stdin)))
    assert stdin.closed


def test_results_that_cannot_be_brought_back_are_said_with_where_they_are(
    client: Client, pods: Kubernetes, tmp_path: Path
) -> None:
    runtime = KubernetesRuntime()
    runtime.prepare()
    runtime.up(["wsgi"])
    runtime.generate([], ["wsgi"], tmp_path)
    client.answers = {" cp ": lambda: "fails"}
    with pytest.raises(LabDown, match=f"locust-x7:/results/{tmp_path.name} could not be copied"):
        runtime.bring_back(tmp_path)


def test_nodes_of_kubernetes_need_a_registry(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="LAB_REGISTRY must be set"):
        KubernetesRuntime().prepare()


@pytest.mark.parametrize("runtime", [SwarmRuntime, KubernetesRuntime])
@pytest.mark.parametrize("registry", ["http://registry", "registry/a b", "$(reboot)", "-x"])
def test_a_registry_is_a_host_with_a_path(
    registry: str, runtime: type[ClusterRuntime], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_REGISTRY", registry)
    with pytest.raises(BadInput, match="LAB_REGISTRY must be like"):
        runtime()


@pytest.mark.parametrize(
    ("words", "variables", "sentence"),
    [
        (["up"], {}, "the web UI runs on this machine, not on 'swarm'"),
        (["run"], {"APP": "tests/projects/tiny"}, "LAB_ENGINE runs the lab's own pages"),
        (["run"], {"TARGETS": "wsgi=http://127.0.0.1:1", "PAGES": "tests/projects/tiny/pages.toml"}, "own pages"),
        (["run", "--runtime=process"], {}, "leave out RUNTIME=process, or LAB_ENGINE"),
    ],
)
def test_what_a_cluster_does_not_do_is_refused_before_anything_is_asked(
    words: list[str],
    variables: dict[str, str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda words, **_: pytest.fail(f"it would start {words}"))
    for name, value in ({"LAB_ENGINE": "swarm"} | variables).items():
        monkeypatch.setenv(name, value)
    assert main(words) == ExitCode.NOT_UP
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("words", [["run"], ["lesson"], ["claims", "--experiment=slots"]])
def test_every_command_that_measures_runs_on_the_cluster(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measure(chosen: object, options: object, runtime: str, project: object = None) -> None:
        asked.append(runtime)
        raise LabDown("nothing is there")

    monkeypatch.setenv("LAB_ENGINE", "swarm")
    monkeypatch.setattr(launch, "measure", measure)
    assert main(words) == ExitCode.NOT_UP
    assert asked == ["swarm"]


def test_a_prediction_goes_on_in_the_virtual_environment_for_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[list[str]] = []
    monkeypatch.setenv("LAB_ENGINE", "swarm")
    monkeypatch.setattr(virtualenv, "enter", entered.append)
    assert main(["predict"]) == ExitCode.CONFIRMED
    assert main(entered[0]) == ExitCode.CONFIRMED


def test_the_command_that_repeats_a_run_names_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LAB_ENGINE": "swarm", "LAB_REGISTRY": "registry.example/lab"}.items():
        monkeypatch.setenv(name, value)
    typed = launch.command(find("slots"), RunOptions(), "swarm")
    assert "LAB_ENGINE=swarm LAB_REGISTRY=registry.example/lab" in typed
    assert "RUNTIME=" not in typed
    typed = launch.claims_command_line([find("slots")], RunOptions(), "swarm")
    assert typed == "make claims EXPERIMENT=slots LAB_ENGINE=swarm LAB_REGISTRY=registry.example/lab"


@pytest.fixture
def mask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_what_an_experiment_proposes_and_measures_is_written_for_its_owner_alone(
    mask: None, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, str] = {}
    monkeypatch.setattr(cluster, "described", lambda variables: given.update(variables) or deepcopy(CONFIG))
    monkeypatch.setenv("API_WORKERS", "2")
    folder = tmp_path / "new"
    assert main(["render", "swarm", "--experiment=ten-thousand", f"--write-to={folder}"]) == ExitCode.CONFIRMED
    assert given["ASGI_WORKERS"] == "8"
    assert "API_WORKERS" not in given, "somebody has set it"
    assert 'TARGETS: "wsgi=http://wsgi:8000 asgi=http://asgi:8000"' in (folder / "stack.yaml").read_text()
    assert (folder.stat().st_mode & 0o777, (folder / "stack.yaml").stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize(("name", "value"), [("LATENCY", "99"), ("TELEMETRY_READERS", "all"), ("API_WORKER", "2")])
def test_what_a_run_refuses_is_not_written(
    name: str, value: str, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["render", "swarm", f"--write-to={tmp_path}"]) == ExitCode.NOT_UP
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("variables", "asked", "sentence"),
    [
        ({"LAB_ENGINE": "nomad"}, "auto", "LAB_ENGINE must be one of swarm, kubernetes; it is 'nomad'"),
        ({"LAB_ENGINE": "swarm"}, "process", "leave out RUNTIME=process, or LAB_ENGINE"),
        ({"LAB_REGISTRY": "registry.example"}, "auto", "LAB_REGISTRY is for the nodes of a cluster"),
        ({"LAB_BUILD": "no"}, "docker", "LAB_BUILD is for the nodes of a cluster"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    variables: dict[str, str], asked: str, sentence: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=sentence):
        launch.choose_runtime(asked)
