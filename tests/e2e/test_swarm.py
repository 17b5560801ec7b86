"""A Docker Swarm of two engines on this machine: each in a network namespace of its own, with a cable between them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from loadtests.host import topology
from loadtests.host.cluster import KIND
from tests.e2e.conftest import cannot_run
from tests.runs import ROOT, Ended, Lab, one_line

pytestmark = pytest.mark.slow

PROJECT = "lab-swarm-test"
STACK = f"{PROJECT}-{KIND}-{os.getuid()}"
IMAGES = tuple(f"{PROJECT}-{name}" for name in ("api", "aggregator", "locust"))
SMALL = ("run", "--quick", "--users=1,30", "--latency=0.2")


def run(*words: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return str(done.stdout)


@dataclass(frozen=True)
class Engine:
    """A Docker engine in a network namespace."""

    name: str
    folder: Path

    @property
    def namespace(self) -> str:
        """Its name is also that of the network interface in it, which has 15 letters at most."""
        return f"lab{os.getpid()}{self.name[:3]}"

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def inside(self, *words: str) -> list[str]:
        """Not by `ip netns exec`, which hides the control groups."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *words]

    def docker(self, *words: str) -> str:
        return run("docker", f"--host={self.host}", *words)

    def answers(self) -> bool:
        asked = ["docker", f"--host={self.host}", "info"]
        return not subprocess.run(asked, capture_output=True, check=False).returncode

    def start(self) -> subprocess.Popen[bytes]:
        """Its host name is that of the node."""
        own = [f"--{kind}={self.folder}/{kind}" for kind in ("data-root", "exec-root", "pidfile")]
        named = ["unshare", "--uts", "sh", "-c", f'hostname {self.name}; exec "$@"', "sh"]
        with (self.folder / "dockerd.log").open("wb") as log:
            return subprocess.Popen(
                self.inside(*named, "dockerd", *own, f"--host={self.host}"),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@dataclass(frozen=True)
class Swarm:
    """Two nodes. The first one manages, and the lab is started on it."""

    first: Engine
    second: Engine

    def connect(self, *, up: bool) -> None:
        run(*self.second.inside("ip", "link", "set", self.second.namespace, "up" if up else "down"))

    def is_whole(self) -> bool:
        return self.first.docker("node", "ls", "--format", "{{.Status}}").split() == ["Ready", "Ready"]


def stopped(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def swarm(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    missing = [program for program in ("dockerd", "nsenter", "unshare", "ip") if not shutil.which(program)]
    if missing or os.getuid():
        cannot_run(f"two engines need root and {', '.join(missing) or 'network namespaces'}")
    folder = tmp_path_factory.mktemp("swarm")
    engines = [Engine(name, folder / name) for name in ("first", "second")]
    with ExitStack() as stack:
        for one in engines:
            one.folder.mkdir()
            run("ip", "netns", "add", one.namespace)
            stack.callback(run, "ip", "netns", "delete", one.namespace)
        first, second = (one.namespace for one in engines)
        run("ip", "link", "add", first, "netns", first, "type", "veth", "peer", "name", second, "netns", second)
        for number, one in enumerate(engines, 1):
            run(*one.inside("ip", "link", "set", "lo", "up"))
            run(*one.inside("ip", "link", "set", one.namespace, "up"))
            run(*one.inside("ip", "address", "add", f"10.77.0.{number}/24", "dev", one.namespace))
            stack.callback(stopped, one.start())
        lab = Swarm(*engines)
        waiting = Lab({}, folder / "results")
        waiting.wait_for(lambda: all(one.answers() for one in engines))
        lab.first.docker("swarm", "init", "--advertise-addr=10.77.0.1", "--default-addr-pool=10.78.0.0/16")
        token = lab.first.docker("swarm", "join-token", "--quiet", "worker").strip()
        lab.second.docker("swarm", "join", "--advertise-addr=10.77.0.2", "--token", token, "10.77.0.1:2377")
        waiting.wait_for(lab.is_whole)
        yield lab


@pytest.fixture(scope="module")
def images(swarm: Swarm, docker_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's images as a file, built by the machine's own engine, which alone reaches the packages."""
    environment = {**docker_environment, "COMPOSE_PROJECT_NAME": PROJECT}
    run("docker", "compose", "build", "api", "wsgi", "locust", environment=environment)
    path = tmp_path_factory.mktemp("images") / "images.tar"
    run("docker", "save", f"--output={path}", *IMAGES)
    swarm.first.docker("load", f"--input={path}")
    return path


@pytest.fixture
def lab(swarm: Swarm, images: Path, docker_environment: dict[str, str], tmp_path: Path) -> Lab:
    own = {"COMPOSE_PROJECT_NAME": PROJECT, "LAB_ENGINE": "swarm", "LAB_BUILD": "no", "DOCKER_HOST": swarm.first.host}
    return Lab({**docker_environment, "RUNTIME": "auto", **own}, tmp_path / "results")


def nothing_is_left(engine: Engine) -> bool:
    containers = engine.docker("ps", "--all", "--quiet")
    networks = engine.docker("network", "ls", "--quiet", "--filter", f"label=com.docker.stack.namespace={STACK}")
    return not containers and not networks


def test_the_engine_reads_in_the_stack_what_compose_reads_in_compose_yaml(
    swarm: Swarm, docker_environment: Mapping[str, str], tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "loadtests", "render", "swarm", f"--write-to={tmp_path}"]
    written = run(*words, environment={**docker_environment, "LATENCY": "0.7"})
    assert written.split() == [f"{tmp_path}/stack.yaml"]
    stack = yaml.safe_load(swarm.first.docker("stack", "config", f"--compose-file={tmp_path}/stack.yaml"))
    declared = topology.services({"LATENCY": "0.7", "LAB_RUNTIME": "swarm"})
    assert set(stack["services"]) == {"api", "wsgi", "asgi", "locust"}
    for name, service in stack["services"].items():
        assert service["command"] == declared[name].command
        assert service["environment"] == declared[name].environment


def test_a_node_without_the_images_is_named_with_what_gives_them_to_it(swarm: Swarm, lab: Lab, images: Path) -> None:
    ended = lab.run(*SMALL)
    assert ended.code == 3
    assert f"the node second has no image {PROJECT}-" in ended.output
    assert f"docker save {PROJECT}-" in ended.output
    lab.wait_for(lambda: nothing_is_left(swarm.first))
    swarm.second.docker("load", f"--input={images}")


def test_a_run_measures_targets_on_another_node_and_leaves_nothing_up(swarm: Swarm, lab: Lab) -> None:
    with lab.started(*SMALL) as process:
        lab.wait_for(lab.raw_files)
        limits_hold(swarm.second)
        output, _ = process.communicate(timeout=240)
    summary = Ended(process.returncode, output, lab.results).summary
    assert process.returncode in {0, 1, 2}, output
    assert summary["complete"], output
    assert summary["runtime"] == "swarm"
    services = summary["manifest"]["services"]
    assert {name: services[name]["node"] for name in ("api", "wsgi", "asgi", "locust")} == {
        **dict.fromkeys(("api", "wsgi", "asgi"), "second"),
        "locust": "first",
    }
    assert services["nodes"].keys() == {"first", "second"}
    assert "Nobody looked at other programs on the nodes" in one_line(output)
    machine = [check for check in summary["checks"] if check["name"] == "machine"]
    assert machine
    assert not any("other processes" in check["value"] for check in machine)
    calls = {arm["target"]: arm["steps"][0]["inside"] for arm in summary["arms"]}
    assert all(inside["cpu_seconds"] for inside in calls.values()), "the samplers answer across nodes"
    lab.wait_for(lambda: nothing_is_left(swarm.first) and nothing_is_left(swarm.second))


def test_load_generators_share_the_load_on_the_managers_node(swarm: Swarm, lab: Lab) -> None:
    ended = lab.run(*SMALL, "--generators=2")
    assert ended.summary["complete"], ended.output
    assert "by 2 load generators" in one_line(ended.output)
    lab.wait_for(lambda: nothing_is_left(swarm.first) and nothing_is_left(swarm.second))


def limits_hold(engine: Engine) -> None:
    """What compose.yaml allows a service is what its container may."""
    for service in ("api", "wsgi"):
        [container] = engine.docker("ps", "--quiet", "--filter", f"name={STACK}_{service}\\.").split()
        described = json.loads(engine.docker("inspect", container))[0]
        host = described["HostConfig"]
        assert host["NanoCpus"] == 1e9
        assert host["Memory"] == {"api": 256, "wsgi": 512}[service] * 2**20
        assert host["PidsLimit"] == {"api": 256, "wsgi": 16384}[service]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
        assert host["Ulimits"] == [{"Name": "nofile", "Hard": 16384, "Soft": 16384}]
        assert host["LogConfig"]["Config"] == {"max-size": "2m", "max-file": "2"}
        assert [mount["Type"] for mount in described["Mounts"]] == ["tmpfs"]
        assert not described["NetworkSettings"]["Ports"]


def test_interrupted_it_keeps_what_it_measured_and_removes_the_stack(swarm: Swarm, lab: Lab) -> None:
    with lab.started(*SMALL) as process:
        lab.wait_for(lab.raw_files)
        ended = lab.interrupt(process)
    assert ended.code == 130
    assert not ended.summary["complete"]
    assert (ended.folder / "report.html").exists()
    lab.wait_for(lambda: nothing_is_left(swarm.first) and nothing_is_left(swarm.second))


def test_what_a_killed_run_left_is_removed_by_the_next_one(swarm: Swarm, lab: Lab) -> None:
    with lab.started(*SMALL) as process:
        lab.wait_for(lab.raw_files)
        process.kill()
        process.communicate(timeout=240)
    assert swarm.first.docker("stack", "ls", "--format", "{{.Name}}").split() == [STACK]
    ended = lab.run(*SMALL)
    assert "Cleaning up after" in ended.output
    assert ended.summary["complete"], ended.output
    lab.wait_for(lambda: nothing_is_left(swarm.first))


def test_a_lost_node_ends_in_a_sentence_and_what_was_measured_before_is_kept(swarm: Swarm, lab: Lab) -> None:
    with lab.started(*SMALL, "--repeats=10") as process:
        lab.wait_for(lab.raw_files)
        swarm.connect(up=False)
        try:
            output, _ = process.communicate(timeout=180)
        finally:
            swarm.connect(up=True)
    ended = Ended(process.returncode, output, lab.results)
    assert ended.code == 2, output
    assert "the node second is down, and with it api, asgi, wsgi" in one_line(output)
    assert not ended.summary["complete"]
    assert "the node second is down" in ended.summary["verdict"]["sentence"]
    assert any(step["goodput"] for arm in ended.summary["arms"] for step in arm["steps"])
    assert (ended.folder / "report.html").exists()
    lab.wait_for(swarm.is_whole)
    lab.wait_for(lambda: nothing_is_left(swarm.first) and nothing_is_left(swarm.second))
