"""The services as containers: Docker Compose, or what DOCKER names (DOCKER=podman)."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.errors import LabDown
from loadtests.runtime import (
    GENERATOR,
    LOG_LINES,
    ROOT,
    Runtime,
    command_line,
    refuse_taken_port,
    required,
    say_started_again,
    terminal_environment,
    with_dependencies,
    without_password,
)
from loadtests.runtime.shell import run_long

ANSWER_TIMEOUT = 20  # seconds
START_TIMEOUT = 60  # seconds until all services have to be healthy
PROBE_INTERVAL = 0.5  # seconds, where the engine does not probe by itself
GENERATOR_UID = 10001  # of the user in the images


def engine() -> list[str]:
    return shlex.split(os.environ.get("DOCKER") or "docker")


def is_podman() -> bool:
    return Path(engine()[0]).name == "podman"


def is_rootless() -> bool:
    """Whether the engine runs as its user and not as root, as Podman's usually does."""
    asked = subprocess.run([*engine(), "info", "--format", "{{json .}}"], capture_output=True, text=True, check=False)
    return '"rootless":true' in asked.stdout or "name=rootless" in asked.stdout  # as Podman and as Docker say it


def why_no_engine() -> str | None:
    """None when an engine with Compose answers, else why not."""
    for command in ([*engine(), "info"], [*engine(), "compose", "ls"]):
        try:
            asked = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_TIMEOUT, check=False)
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"{shlex.join(command)} did not answer in {ANSWER_TIMEOUT} s"
        if asked.returncode:
            # Podman ends with a line of its own, after the one that says why.
            lines = [line for line in asked.stderr.splitlines() if line.strip() and "Error: executing" not in line]
            return lines[-1].strip() if lines else f"{shlex.join(command)} failed"
    return None


def depends_on(service: Mapping[str, Any]) -> list[str]:
    """What it cannot do without, and what else its environment names, as DATABASE_URL may name the lab's PostgreSQL."""
    found = service.get("depends_on", {})
    values = [str(value) for value in service.get("environment", {}).values()]
    return [name for name in found if name in required(found) or any(f"@{name}:" in value for value in values)]


class ComposeRuntime(Runtime):
    name = "docker"
    limits = "CPU and memory of each service are limited as compose.yaml says"

    def __init__(self) -> None:
        self._variables: Mapping[str, str] = {}
        self._built: set[str] = set()  # images
        self._running_before: set[str] | None = None
        self._started: set[str] = set()
        self._generator: str | None = None
        self._lent: Path | None = None  # a folder that was given to the generator's user
        self._config: dict[str, Any] = {}

    def prepare(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = dict(variables or {})
        if why := why_no_engine():
            raise LabDown(
                f"no Docker engine answers ({why}). Start one, or run with RUNTIME=process, which needs none."
            )
        self._config = json.loads(self._ask("config", "--format", "json"))
        self._build([name for name, service in self._config["services"].items() if not service.get("profiles")])

    def _build(self, services: Sequence[str]) -> None:
        one_of_each = {self._config["services"][name]["image"]: name for name in services}
        missing = sorted(image for image in one_of_each if not self._has_image(image))
        if missing:
            print(f"Building {', '.join(missing)} (once, about a minute) …", flush=True)
        run_long([*self._compose, "build", *one_of_each.values()], "building the images", self._environment)
        self._built |= set(one_of_each)

    def up(self, services: Sequence[str]) -> None:
        services = with_dependencies(
            services,
            {name: depends_on(service) for name, service in self._config["services"].items()},
        )
        running = set(self._ask("ps", "--services", "--status", "running").split())
        if running & self._started >= set(services):
            return
        say_started_again(self._started & set(services) - running)
        if unbuilt := [name for name in services if self._config["services"][name]["image"] not in self._built]:
            self._build(unbuilt)
        if self._running_before is None:
            self._running_before = running
        for service in services:
            if service not in running:
                for port in self._config["services"][service].get("ports", ()):
                    refuse_taken_port(service, int(port["published"]))
        self._started |= set(services) - self._running_before
        starting = subprocess.Popen(
            # Without the profiles of others: who depends on a service that is not asked for goes without it.
            [
                *self._compose_files,
                "up",
                "--detach",
                "--wait",
                f"--wait-timeout={START_TIMEOUT}",
                *services,
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=self._environment,
        )
        said = None
        try:
            while said is None:
                try:
                    said = starting.communicate(timeout=PROBE_INTERVAL)[1]
                except subprocess.TimeoutExpired:
                    self._probe()
        finally:
            starting.kill()  # when interrupted
        if starting.returncode:
            raise self._failure(services, said)

    def drop(self, services: Sequence[str]) -> None:
        if ours := self._started & set(services):
            self._run("rm", "--stop", "--force", *sorted(ours))
            self._started -= ours

    def _probe(self) -> None:
        """Docker does this by itself; Podman leaves it to systemd's timers, at the long interval only."""
        if is_podman():
            for container in self._ask("ps", "--quiet").split():
                subprocess.run([*engine(), "healthcheck", "run", container], capture_output=True, check=False)

    def generate(self, arguments: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
        self._end_generator()
        self._take_back()
        stamp = datetime.now(UTC).strftime("%H%M%S%f")
        self._generator = f"{self._config['name']}-generator-{stamp}"
        environment = [word for item in terminal_environment().items() for word in ("--env", "=".join(item))]
        command = [
            *self._compose,
            "run",
            "--rm",
            "--no-deps",
            "--no-TTY",
            "--name",
            self._generator,
            "--user",
            self._owner(folder),
            "--volume",  # z: where SELinux guards files, as on Fedora, the container may write there
            f"{folder}:/results:z",
            *environment,
            GENERATOR,
            "python",
            "-m",
            "loadtests",
            *arguments,
            "--folder=/results",
        ]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=self._environment,
        )

    def _owner(self, folder: Path) -> str:
        """Who may write into the run's folder: its owner; but nobody is root in a container of the lab."""
        if is_rootless():
            return "0:0"  # not root outside: in its containers a rootless engine's user has this id
        owner = folder.stat()
        if owner.st_uid:
            return f"{owner.st_uid}:{owner.st_gid}"
        os.chown(folder, GENERATOR_UID, GENERATOR_UID)
        self._lent = folder
        return f"{GENERATOR_UID}:{GENERATOR_UID}"

    def _end_generator(self) -> None:
        if self._generator:
            subprocess.run([*engine(), "rm", "--force", self._generator], capture_output=True, check=False)
            self._generator = None

    def _take_back(self) -> None:
        """What was given to the generator's user, once no generator writes there any more."""
        if self._lent:
            for path in (self._lent, *self._lent.rglob("*")):
                with suppress(FileNotFoundError):  # a run that never began to measure leaves no folder
                    os.chown(path, os.getuid(), os.getgid(), follow_symlinks=False)
            self._lent = None

    def interrupt(self, generator: subprocess.Popen[bytes]) -> None:
        if self._generator:
            subprocess.run([*engine(), "kill", "--signal", "INT", self._generator], capture_output=True, check=False)

    def down(self) -> None:
        self._end_generator()  # first: it is on the network that goes with the services
        if self._running_before and self._started:  # somebody's `docker compose up`, which goes on
            self._run("rm", "--stop", "--force", *sorted(self._started))
        elif self._started:
            self._run("down", "--timeout", "3")
        self._started.clear()
        self._take_back()

    def published(self) -> Mapping[str, str]:
        return {
            name: f"http://{port['host_ip']}:{port['published']}"
            for name, service in self._config["services"].items()
            if name in self._running
            for port in service.get("ports", ())
        }

    def describe(self) -> Mapping[str, Any]:
        described = {}
        for name, service in self._config["services"].items():
            if name not in {*self._running, GENERATOR}:
                continue
            described[name] = {
                "command": command_line(service["command"], service.get("environment", {})),
                "environment": without_password(service.get("environment", {})),
                "cpus": service.get("cpus"),
                "memory_bytes": int(service["mem_limit"]) if "mem_limit" in service else None,
            }
        version = subprocess.run(
            [*engine(), "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            check=False,
        )
        return {"engine": f"{engine()[0]} {version.stdout.strip()}", **described}

    @property
    def _running(self) -> set[str]:
        return (self._running_before or set()) | self._started

    @property
    def _compose(self) -> list[str]:
        return [*self._compose_files, "--profile=*"]

    @property
    def _compose_files(self) -> list[str]:
        files = ("compose.yaml", "compose.podman.yaml") if is_podman() else ()
        return [*engine(), "compose", *(f"--file={ROOT / name}" for name in files)]

    @property
    def _environment(self) -> dict[str, str]:
        # What was built in the beginning is what runs, in silence, whatever is edited meanwhile.
        return {**os.environ, **self._variables, "PULL_POLICY": "missing"}

    def _ask(self, *words: str) -> str:
        """What a Compose command prints. Raises LabDown."""
        asked = subprocess.run(
            [*self._compose, *words], cwd=ROOT, capture_output=True, text=True, check=False, env=self._environment
        )
        if asked.returncode:
            raise LabDown(f"{shlex.join([*self._compose, *words])} failed.", asked.stderr.strip())
        return asked.stdout

    def _run(self, *words: str) -> None:
        subprocess.run([*self._compose, *words], cwd=ROOT, capture_output=True, check=False, env=self._environment)

    def _has_image(self, image: str) -> bool:
        return not subprocess.run([*engine(), "image", "inspect", image], capture_output=True, check=False).returncode

    def _failure(self, services: Sequence[str], said: str) -> LabDown:
        """Which service did not become healthy, with its last log lines; else what Compose said."""
        states = [json.loads(line) for line in self._ask("ps", "--all", "--format", "json").splitlines()]
        bad = [
            state
            for state in states
            if state["Service"] in services
            and (state["State"] == "exited" or state.get("Health") in {"unhealthy", "starting"})
        ]
        if bad:
            service, status = bad[0]["Service"], bad[0].get("Status") or bad[0]["State"]
            logs = self._ask("logs", "--no-log-prefix", "--tail", str(LOG_LINES), service).strip()
            words = "Its last log lines:" if logs else "It wrote nothing: was it short of memory?"
            return LabDown(f"the service {service} is not healthy ({status}). {words}", logs)
        said_last = [line for line in said.splitlines() if line.strip()][-3:]
        return LabDown("the containers could not be started.", "\n".join(said_last))
