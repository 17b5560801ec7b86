"""`docker compose up`: what is there, how it is confined, and what the Locust web UI does."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtests.host import topology
from tests.e2e.conftest import SERVICES, Stack, own_project
from tests.integration.waiting import wait_until

every_service = pytest.mark.parametrize("service", SERVICES)
MEGABYTE = 1_000_000
TWO_TARGETS = {"user_classes": ["WsgiUser", "AsgiUser"]}


@every_service
def test_every_service_is_healthy(stack: Stack, service: str) -> None:
    assert stack.inspect(service)["State"]["Health"]["Status"] == "healthy"
    assert httpx.get(f"{stack.url(service)}/healthz", trust_env=False).json()["status"] == "ok"


@every_service
def test_a_service_may_do_little(stack: Stack, service: str) -> None:
    inspected = stack.inspect(service)
    host = inspected["HostConfig"]
    assert inspected["Config"]["User"] not in {"", "root", "0"}
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert not host["Privileged"]
    assert host["MemorySwap"] == host["Memory"] > 0
    assert 0 < host["PidsLimit"] < 32768
    assert host["LogConfig"]["Config"].keys() == {"max-size", "max-file"}
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    bindings = [binding for ports in host["PortBindings"].values() for binding in ports]
    assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}


@pytest.mark.parametrize("service", ["api", "wsgi", "asgi"])
def test_what_a_service_says_of_itself_is_read_by_the_load_generator_and_not_by_the_host(
    stack: Stack, service: str
) -> None:
    """The host reaches every port of a container by the container's address, published or not."""
    ask = f"import urllib.request as r; print(r.urlopen('http://{service}:9000/metrics', timeout=9).read().decode())"
    assert "lab_cpu_seconds_total" in stack.compose("exec", "-T", "locust", "python", "-c", ask)
    [network] = stack.inspect(service)["NetworkSettings"]["Networks"].values()
    assert asked((network["IPAddress"], 9000), b"GET /metrics HTTP/1.0\r\n\r\n") == b""


def asked(address: tuple[str, int], question: bytes) -> bytes:
    """What answers at an address, if anything does."""
    with suppress(OSError), socket.create_connection(address, timeout=5) as connection:
        connection.sendall(question)
        return connection.recv(4096)
    return b""


def test_a_server_that_is_killed_is_named_and_comes_back(stack: Stack) -> None:
    kill = (
        "for p in /proc/[0-9]*; do read -r _ name _ <$p/stat; [ \"$name\" = '(uvicorn)' ] && kill -9 ${p#/proc/}; done"
    )
    started = stack.inspect("api")["State"]["StartedAt"]
    stack.compose("exec", "--detach", "api", "sh", "-c", kill)
    wait_until(lambda: stack.inspect("api")["State"]["StartedAt"] > started)
    wait_until(lambda: stack.inspect("api")["State"]["Health"]["Status"] == "healthy")
    assert "the server was killed by SIGKILL" in stack.compose("logs", "--no-log-prefix", "api")


@pytest.fixture
def checkout(root: Path, docker_environment: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """Another checkout, as `umask 077` makes it, with a project of its own."""
    folder = tmp_path / "checkout"
    for part in ("services", "loadtests", "requirements", "compose"):
        shutil.copytree(root / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("compose.yaml", "Dockerfile", ".dockerignore"):
        shutil.copy(root / name, folder)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    other = Stack({**docker_environment, **own_project("lab-test-checkout")}, folder)
    try:
        yield other
    finally:
        other.compose("down", "--timeout", "3", "--rmi", "all")


def test_up_runs_the_code_that_is_there_whatever_its_umask(engine: None, checkout: Stack) -> None:
    checkout.compose("up", "--detach", "--wait", "api")
    first = checkout.inspect("api")
    assert httpx.get(f"{checkout.url('api')}/api/?latency=0", trust_env=False).json()["message"] == "Hello World!"
    app = checkout.root / "services" / "api" / "app.py"
    app.write_text(app.read_text().replace("Hello World!", "Good morning!"))
    checkout.compose("up", "--detach", "--wait", "api")
    assert httpx.get(f"{checkout.url('api')}/api/?latency=0", trust_env=False).json()["message"] == "Good morning!"
    second = checkout.inspect("api")
    checkout.compose("up", "--detach", "--wait", "api")
    assert first["Id"] != second["Id"] == checkout.inspect("api")["Id"], "made anew where the code changed, only there"


def test_both_aggregators_have_the_same_image_limits_and_environment(stack: Stack) -> None:
    wsgi, asgi = stack.inspect("wsgi"), stack.inspect("asgi")
    assert wsgi["Image"] == asgi["Image"]
    for limit in ("NanoCpus", "Memory"):
        assert wsgi["HostConfig"][limit] == asgi["HostConfig"][limit] > 0
    differ = {word.partition("=")[0] for word in set(wsgi["Config"]["Env"]) ^ set(asgi["Config"]["Env"])}
    # The last two are gunicorn's; uvicorn keeps connections as long by an option of its own.
    assert differ <= {"TARGET", "APPLICATION", "INTERFACE", "WORKERS", "THREADS", "KEEP_ALIVE", "WORKER_CONNECTIONS"}


def test_the_images_add_little_to_the_base(stack: Stack) -> None:
    def size(image: str) -> int:
        return int(stack.docker("image", "inspect", "--format", "{{.Size}}", image))

    base = size("python:3.13-slim")
    # numpy and scipy, for the load generator's statistics, are 130 MB of the last.
    for service, most in (("api", 90), ("wsgi", 90), ("asgi", 90), ("locust", 350)):
        assert size(stack.inspect(service)["Image"]) - base <= most * MEGABYTE


def test_the_idle_stack_takes_little_memory(stack: Stack) -> None:
    assert len(stack.idle_memory) == len(SERVICES)
    assert sum(stack.idle_memory) <= 300 * MEGABYTE


def test_the_process_runtime_reads_compose_yaml_as_compose_does(stack: Stack) -> None:
    """Compose's own interpretation against ours: the same commands and the same environment."""
    theirs = json.loads(stack.compose("--profile=*", "config", "--format", "json"))["services"]
    ours = topology.services(stack.environment)
    assert set(ours) == set(theirs)
    for name, service in ours.items():
        # What `config` prints can be read in again, so that a dollar sign stays doubled.
        assert service.command == [word.replace("$$", "$") for word in theirs[name]["command"]]
        assert service.environment == theirs[name].get("environment", {})
        assert service.probe == theirs[name]["healthcheck"]["test"][1:]
        assert service.ports == [port["target"] for port in theirs[name].get("ports", ())]
        assert set(service.depends_on) == set(topology.required(theirs[name].get("depends_on", {})))


def test_a_page_comes_from_both_targets(stack: Stack) -> None:
    for target in ("wsgi", "asgi"):
        page = httpx.get(f"{stack.url(target)}/api/aggregated/", params={"fan_out": 3}, timeout=30, trust_env=False)
        assert [response["task_id"] for response in page.json()["responses"]] == ["0", "1", "2"]


def test_django_is_the_current_one_in_the_images(stack: Stack) -> None:
    health = httpx.get(f"{stack.url('asgi')}/healthz", trust_env=False).json()
    assert health["packages"]["django"].startswith("6.1.")


def swarm(stack: Stack, **form: Any) -> dict[str, Any]:
    data = {"user_count": 60, "spawn_rate": 60, "strategy": "parallel", **TWO_TARGETS, **form}
    said: dict[str, Any] = httpx.post(f"{stack.url('locust')}/swarm", data=data, trust_env=False).json()
    return said


def rows(stack: Stack) -> dict[str, dict[str, Any]]:
    stats = httpx.get(f"{stack.url('locust')}/stats/requests", trust_env=False).json()["stats"]
    return {row["name"]: row for row in stats}


def test_the_web_ui_drives_both_targets_without_an_address_typed(stack: Stack) -> None:
    """Of users who all ask at once, those of WSGI wait for a slot, some of them for several turns."""
    assert swarm(stack, fan_out=10, latency=1)["success"]
    try:
        wait_until(lambda: rows(stack).get("wsgi: threadpool", {}).get("num_requests", 0) > 30)
        found = rows(stack)
    finally:
        httpx.post(f"{stack.url('locust')}/stop", trust_env=False)
    wsgi, asgi = found["wsgi: threadpool"], found["asgi: gather"]
    assert wsgi["num_failures"] == asgi["num_failures"] == 0
    assert asgi["num_requests"] > wsgi["num_requests"]
    assert wsgi["max_response_time"] > 2 * asgi["min_response_time"] >= 2 * 1000


def test_the_knobs_of_the_web_ui_change_the_traffic(stack: Stack) -> None:
    httpx.post(f"{stack.url('locust')}/stats/reset", trust_env=False)
    assert swarm(stack, user_count=4, strategy="sequential", fan_out=2, latency=0.1, fail=1)["success"]
    try:
        wait_until(lambda: rows(stack).get("asgi: sequential", {}).get("num_failures", 0) >= 2)
    finally:
        httpx.post(f"{stack.url('locust')}/stop", trust_env=False)
    errors = httpx.get(f"{stack.url('locust')}/stats/requests", trust_env=False).json()["errors"]
    assert any("503 Service Unavailable" in error["error"] for error in errors)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"latency": "abc"}, "LATENCY must be a number from 0 to 10"),
        ({"fan_out": "0"}, "FAN_OUT must be a whole number from 1 to 100"),
        ({"fail": "7"}, "FAIL"),
        ({"strategy": "telepathy"}, "STRATEGY must be one of parallel, sequential"),
    ],
)
def test_a_bad_knob_is_refused_with_what_is_allowed(stack: Stack, form: dict[str, str], said: str) -> None:
    answer = swarm(stack, **form)
    assert not answer["success"]
    assert said in answer["message"]
