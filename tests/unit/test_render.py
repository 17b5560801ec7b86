"""The same topology for Swarm and Kubernetes: what compose.yaml says of a service is what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import kubernetes_validate
import pytest
import yaml

from loadtests import ROOT
from loadtests.errors import BadInput
from loadtests.experiments import catalogue
from loadtests.host import render, topology
from loadtests.model.service import GENERATOR, METRICS_PORT, PORT, Service

SERVICES = ["api", "wsgi", "asgi", "wsgi-50", "postgres", "asgi-database", GENERATOR]
HOSTILE = [
    "yes",
    "null",
    "1e3",
    "a: b # c",
    "- {x: [y]}",
    '"',
    "'",
    "\\",
    "$$(PATH) $$HOME",
    "é\x85\u2028😀\x7f",
    "two\nlines\n",
    "",
]


def filled_in(value: Any) -> Any:
    """As `docker compose config` does: variables have their defaults, and a dollar sign stays doubled."""
    if isinstance(value, Mapping):
        return {key: filled_in(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled_in(item) for item in value]
    return topology.interpolate(value, {}).replace("$", "$$") if isinstance(value, str) else value


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    services = filled_in(topology.read(topology.FILE))
    for service in services.values():
        service["networks"] = dict.fromkeys(service.get("networks", ["default"]))
    networks = topology.load(ROOT / "compose" / "database.yaml")["networks"]
    return {"name": "lab", "services": services, "networks": {"default": {}, **networks}}


@pytest.fixture
def config(described: dict[str, Any]) -> dict[str, Any]:
    return deepcopy(described)


@pytest.fixture
def stack(config: dict[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(render.stack(config, SERVICES))
    return loaded


def documents(files: Mapping[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
    """By kind and name."""
    every = (one for path, text in files.items() if "kustomization" not in path for one in yaml.safe_load_all(text))
    return {(one["kind"], one["metadata"]["name"]): one for one in every}


@pytest.fixture
def manifests(config: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return documents(render.manifests(config, SERVICES))


def pod(manifests: Mapping[tuple[str, str], dict[str, Any]], name: str) -> dict[str, Any]:
    kind = "Job" if name == GENERATOR else "Deployment"
    found: dict[str, Any] = manifests[kind, name]["spec"]["template"]["spec"]
    return found


def without_escapes(words: list[str]) -> list[str]:
    return [word.replace("$$", "$") for word in words]


@pytest.fixture(scope="module")
def declared() -> dict[str, Service]:
    return topology.services({})


every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_a_stack_runs_the_command_with_the_environment_and_the_limits_of_compose_yaml(
    name: str, stack: dict[str, Any], config: dict[str, Any], declared: dict[str, Service]
) -> None:
    ours, described, rendered = declared[name], config["services"][name], stack["services"][name]
    assert without_escapes(rendered["command"]) == ours.command
    assert {
        key: str(value).replace("$$", "$") for key, value in rendered.get("environment", {}).items()
    } == ours.environment
    assert without_escapes(rendered["healthcheck"]["test"][1:]) == ours.probe
    limits = rendered["deploy"]["resources"]["limits"]
    assert limits == {
        "cpus": described["cpus"],
        "memory": described["mem_limit"],
        "pids": described["pids_limit"],
    }
    assert (rendered["read_only"], rendered["cap_drop"], rendered["init"]) == (True, ["ALL"], True)
    assert [mount["target"] for mount in rendered["volumes"]] == described["tmpfs"]
    assert rendered["deploy"]["restart_policy"] == {"condition": "on-failure", "max_attempts": 3}


@every_service
def test_a_pod_runs_the_command_with_the_environment_and_the_limits_of_compose_yaml(
    name: str,
    manifests: dict[tuple[str, str], dict[str, Any]],
    config: dict[str, Any],
    declared: dict[str, Service],
) -> None:
    ours, described, spec = declared[name], config["services"][name], pod(manifests, name)
    [container] = spec["containers"]
    if name != GENERATOR:  # what it runs comes with the run
        assert without_escapes(container["args"]) == ours.command
        assert container["startupProbe"]["exec"]["command"] == ours.probe
    assert {one["name"]: one["value"].replace("$$", "$") for one in container["env"]} == ours.environment
    assert container["resources"]["limits"] == {"cpu": described["cpus"], "memory": described["mem_limit"]}
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert not security["allowPrivilegeEscalation"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= set(described["tmpfs"])
    assert spec["terminationGracePeriodSeconds"] == 5


def test_what_measures_comes_first_where_pods_want_the_same_core(
    manifests: dict[tuple[str, str], dict[str, Any]],
) -> None:
    asked = {name: pod(manifests, name)["containers"][0]["resources"]["requests"]["cpu"] for name in SERVICES}
    assert (asked["api"], asked[GENERATOR], asked["wsgi"]) == ("400m", "400m", "100m")


@pytest.mark.parametrize(("cpus", "request_"), [(0.25, "250m"), (2, "400m"), (None, "400m")])
def test_no_service_asks_for_more_than_its_limit(cpus: float | None, request_: str, config: dict[str, Any]) -> None:
    config["services"]["api"]["cpus"] = cpus  # API_CPUS=0 leaves it out
    [container] = pod(documents(render.manifests(config, ["api"])), "api")["containers"]
    assert container["resources"]["requests"]["cpu"] == request_
    assert ("cpu" in container["resources"]["limits"]) == bool(cpus)


def test_every_manifest_is_what_the_current_kubernetes_takes(
    manifests: dict[tuple[str, str], dict[str, Any]],
) -> None:
    assert {kind for kind, _ in manifests} == {"Deployment", "Job", "Namespace", "NetworkPolicy", "Service"}
    for document in manifests.values():
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_targets_of_every_experiment_can_be_written_for_both_engines(config: dict[str, Any]) -> None:
    for experiment in catalogue().values():
        for write in (render.stack, render.manifests):
            assert write(config, ["api", *experiment.targets, GENERATOR])


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_stays_the_text_that_it_is(value: str, config: dict[str, Any]) -> None:
    config["services"]["api"]["environment"] = {"VALUE": value, "on": value}
    config["services"]["api"]["command"] = ["serve", value]
    config["services"]["api"]["healthcheck"]["test"] = ["CMD", "ask", value]
    service = yaml.safe_load(render.stack(config, ["api"]))["services"]["api"]
    assert service["environment"] == {"VALUE": value, "on": value}
    assert service["command"] == ["serve", value]
    [container] = pod(documents(render.manifests(config, ["api"])), "api")["containers"]
    assert container["args"] == ["serve", value]
    assert container["startupProbe"]["exec"]["command"] == ["ask", value.replace("$$", "$")], (
        "nothing replaces it there"
    )
    assert container["env"] == [{"name": "VALUE", "value": value}, {"name": "on", "value": value}]


def test_what_an_engine_cannot_express_is_named_at_the_head(config: dict[str, Any]) -> None:
    stack = render.stack(config, SERVICES).partition("services:")[0]
    assert {"security_opt", "cpu_shares", "memswap_limit", "ports"} == {
        line.split()[1].rstrip(":") for line in stack.splitlines()[1:]
    }
    head = render.manifests(config, SERVICES)["base/api.yaml"].partition("apiVersion:")[0]
    assert "#   pids_limit: " in head
    assert "#   ulimits: " in head


@pytest.mark.parametrize(("key", "value"), [("devices", ["/dev/fuse"]), ("volumes", ["/srv:/srv"])])
def test_what_nobody_has_thought_of_is_refused_by_name(key: str, value: Any, config: dict[str, Any]) -> None:
    config["services"]["wsgi"][key] = value
    for write in (render.stack, render.manifests):
        with pytest.raises(BadInput, match=f"^{key} of compose.yaml cannot be written for"):
            write(config, ["api", "wsgi"])


def test_a_service_is_reached_by_its_name_at_its_own_address_and_no_port_is_published(
    stack: dict[str, Any], manifests: dict[tuple[str, str], dict[str, Any]]
) -> None:
    assert {service["deploy"]["endpoint_mode"] for service in stack["services"].values()} == {"dnsrr"}
    assert not any("ports" in service for service in stack["services"].values())
    spec = manifests["Service", "wsgi"]["spec"]
    assert spec["clusterIP"] == "None"
    assert [port["port"] for port in spec["ports"]] == [PORT, METRICS_PORT]
    assert manifests["NetworkPolicy", "only-among-themselves"]["spec"]["podSelector"] == {}


def test_the_database_has_a_network_without_a_way_out(stack: dict[str, Any]) -> None:
    assert stack["services"]["postgres"]["networks"] == ["database"]
    assert stack["networks"]["database"]["internal"]
    assert not stack["networks"]["default"]["internal"]


def test_load_generators_are_on_other_nodes_than_the_rest_and_all_targets_on_one(
    stack: dict[str, Any], manifests: dict[tuple[str, str], dict[str, Any]]
) -> None:
    placed = {name: service["deploy"]["placement"]["constraints"] for name, service in stack["services"].items()}
    assert placed[GENERATOR] == ["node.labels.lab.generators == true"]
    assert placed["wsgi"] == placed["asgi"] == ["node.labels.lab.targets == true"]
    assert placed["api"] == placed["postgres"] == ["node.labels.lab.api == true"]

    def roles(name: str, how: str) -> list[str]:
        [term] = pod(manifests, name)["affinity"][how]["requiredDuringSchedulingIgnoredDuringExecution"]
        values: list[str] = term["labelSelector"]["matchExpressions"][0]["values"]
        return values

    assert roles(GENERATOR, "podAntiAffinity") == ["targets", "api"]
    assert roles("wsgi", "podAntiAffinity") == roles("api", "podAntiAffinity") == ["generators"]
    assert roles("wsgi", "podAffinity") == ["targets"]


def test_a_service_may_have_several_replicas(config: dict[str, Any]) -> None:
    stack = yaml.safe_load(render.stack(config, ["locust-worker"], replicas={"locust-worker": 3}))
    deploy = stack["services"]["locust-worker"]["deploy"]
    assert stack["services"]["locust-worker"]["healthcheck"] == {"disable": True}, "and no test, which Swarm refuses"
    assert (deploy["replicas"], deploy["placement"]["constraints"]) == (3, ["node.labels.lab.generators == true"])
    deployment = documents(render.manifests(config, ["locust-worker"], {"locust-worker": 3}))[
        "Deployment", "locust-worker"
    ]
    assert deployment["spec"]["replicas"] == 3
    assert "startupProbe" not in deployment["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(("project", "name"), [("lab", "lab"), ("my_lab-run-0", "my-lab-run-0"), ("lab_", "lab")])
def test_a_namespace_has_a_name_that_kubernetes_takes(project: str, name: str) -> None:
    assert render.namespace(project) == name


@pytest.mark.parametrize(
    ("text", "expected"), [("24h0m0s", 86400), ("24h", 86400), ("500ms", 1), ("30s", 30), ("1m30s", 90)]
)
def test_a_duration_becomes_whole_seconds(text: str, expected: int) -> None:
    assert render.seconds(text) == expected
