"""The services as local processes: the commands of compose.yaml, without Docker.

compose.yaml stays the only topology. What a container network does is translated to loopback: every service listens on
127.0.0.1 at a free port (or at the one its variable names) and finds the others there.
"""

from __future__ import annotations

import ctypes
import os
import random
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

from loadtests import ROOT
from loadtests.errors import LabDown
from loadtests.host import runtime, topology
from loadtests.host.shell import run_long, run_quiet, signal_group, start
from loadtests.model.service import ASSISTANT, GENERATOR, METRICS_PORT, PORT, Service

PASSED_ON = ("TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
NOWHERE = "/nonexistent"  # a home in which no ~/.locust.conf and no ~/.pgpass changes what is measured
PROJECT = "/app"  # where a container has a project of somebody's own
STEPS_BACK = 5  # nice: about a third of the weight of what measures
GRACE = 6.0  # seconds from SIGTERM to SIGKILL
START_TIMEOUT = 40.0  # seconds until a service has to be healthy
PROBE_INTERVAL = 0.2  # seconds
OPEN_FILES = 16384  # a connection each; as compose.yaml allows the containers


def on_loopback(services: Mapping[str, Service], ports: Mapping[str, Mapping[int, int]]) -> dict[str, Service]:
    """Return the services with 127.0.0.1 as their network; `ports`: local ones by service and container port."""

    def translate(text: str, own: Mapping[int, int]) -> str:
        for service, mapping in ports.items():
            for inside, local in mapping.items():
                text = re.sub(rf"//{re.escape(service)}:{inside}\b", f"//127.0.0.1:{local}", text)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  # what is replaced, not bound
        numbers = "|".join(map(str, own))  # all in one pass: a local port may be the number of another one inside
        return re.sub(rf"(?<![\d.])({numbers})(?![\d.])", lambda at: str(own[int(at[1])]), text) if own else text

    return {
        name: replace(
            service,
            command=[translate(word, ports[name]) for word in service.command],
            environment={
                # Only an address that is listened on holds a port of its own; any other number means itself.
                key: service.volumes.get(value) or translate(value, ports[name] if "0.0.0.0" in value else {})  # noqa: S104
                for key, value in service.environment.items()
            },
            probe=[translate(word, ports[name]) for word in service.probe],
        )
        for name, service in services.items()
    }


# Below those that outgoing connections are given (Linux: 32768 and above), so that none of them takes a port between
# its choice and the start of its service, which may be minutes later.
CANDIDATES = cycle(random.sample(range(20_000, 32_000), 12_000))


def holder() -> socket.socket:
    """Return a socket that is bound to a port which nobody uses, another one each time.

    As long as it is open, nobody else gets that port by this function. A service can listen at it all the same: Linux
    lets a socket bind where another one is bound that does not listen, if both allow the reuse of addresses.
    """
    while True:
        bound = socket.socket()
        with suppress(OSError):
            bound.bind(("127.0.0.1", next(CANDIDATES)))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return bound
        bound.close()


def free_port() -> int:
    """Return a port that nobody uses, another one each time."""
    with holder() as bound:
        return int(bound.getsockname()[1])


class ProcessRuntime:
    """Brings services up and down as ComposeRuntime does, whose methods it has."""

    name = "process"
    limits = "services run as local processes: nothing limits or isolates their CPU and memory"
    project = ""  # of Compose
    warnings: tuple[str, ...] = (f"Not isolated: {limits}.",)

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._declared: dict[str, Service] = {}
        self.services: dict[str, Service] = {}  # the same, on loopback
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logged: set[Path] = set()
        self._ports: dict[str, dict[int, int]] = {}  # local ones, by service and by the port in its container
        self._holders: list[socket.socket] = []  # of ports that were chosen, until the lab is down
        self._bin = Path(sys.executable).parent  # of the Python that serves a project of somebody's own

    def prepare(self, variables: Mapping[str, str] | None = None) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        environment = {**os.environ, "LAB_RUNTIME": self.name, **(variables or {})}
        self._bin = Path(environment.get("APP_BIN") or self._bin)
        services = topology.services(environment)
        runtime.refuse_shared_ports(runtime.port_variable(name) for name, service in services.items() if service.ports)
        published = {name: {port: self._local_port(name) for port in one.ports} for name, one in services.items()}
        self._ports = {
            name: {port: self._free_port() for port in services[name].exposed} | own for name, own in published.items()
        }
        chosen = {runtime.port_variable(name): str(port) for name, own in published.items() for port in own.values()}
        self._declared = topology.services(environment | chosen)
        self.services = on_loopback(self._declared, self._ports)

    def _local_port(self, service: str) -> int:
        """Return the port that the service's variable asks for, or any that is free."""
        if not (asked := os.environ.get(runtime.port_variable(service))):
            return self._free_port()
        runtime.refuse_taken_port(service, asked)
        return int(asked)

    def _free_port(self) -> int:
        """Return a port that no other lab chooses until this one is down: its service may start minutes later."""
        if sys.platform != "linux":
            return free_port()
        self._holders.append(holder())
        return int(self._holders[-1].getsockname()[1])

    def up(self, services: Sequence[str]) -> None:
        needed = runtime.with_dependencies(services, lambda name: self.services[name].depends_on)
        ended = [name for name in self.ended() if name in needed]
        runtime.say_started_again(ended)
        self.drop(ended)  # also the workers that it left behind
        services = [name for name in needed if name not in self._processes]
        for name in services:
            for other in self.services[name].depends_on:
                self._wait_until_healthy(other)
            self._processes[name] = self._start(name)
        for name in services:
            self._wait_until_healthy(name)

    def run(self, service: str, command: Sequence[str]) -> None:
        run_long(command, shlex.join(command), self._environment(self.services[service]), ROOT)

    def ended(self) -> list[str]:
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def _start(self, name: str, called: str = "") -> subprocess.Popen[bytes]:
        """Start a service; `called`: what its log is named after, where there are several of it."""
        service, path = self.services[name], self._logs / f"{called or name}.log"
        environment = self._environment(service)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Started again, it must not erase the last words of the one that died.
            with path.open("ab" if path in self._logged else "wb") as log:
                self._logged.add(path)
                process = start(service.command, environment, stdout=log, preexec_fn=end_with_launcher)
        except OSError as error:
            raise LabDown(f"the service {name} could not be started: {error}") from error
        if not service.comes_first:
            with suppress(OSError):  # ended already, which the probe will say
                os.setpriority(os.PRIO_PROCESS, process.pid, STEPS_BACK)  # its threads and children inherit it
        return process

    def _environment(self, service: Service) -> dict[str, str]:
        """Return only what compose.yaml gives, as in a container: a stray variable must not change a server."""
        python = self._bin if PROJECT in service.volumes else Path(sys.executable).parent
        return {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "PATH": f"{python}{os.pathsep}{os.defpath}",
            "HOME": NOWHERE,
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",  # as in the images, whatever the locale is
            **service.environment,
        }

    def _wait_until_healthy(self, name: str) -> None:
        service, process = self.services[name], self._processes[name]
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if (status := process.poll()) is not None:
                raise self._failure(name, f"it ended with exit status {status}")
            probed = run_quiet(service.probe, cwd=ROOT, env=self._environment(service), start_new_session=True)
            if not probed.returncode:
                return
            if time.monotonic() > deadline:
                raise self._failure(name, f"no answer in {START_TIMEOUT:.0f} s")
            time.sleep(PROBE_INTERVAL)

    def _failure(self, name: str, why: str) -> LabDown:
        return LabDown(f"the service {name} is not healthy: {why}. Its last log lines:", self.last_words(name))

    def last_words(self, name: str) -> str:
        try:
            return runtime.plain((self._logs / f"{name}.log").read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            return f"its log cannot be read: {error.strerror}"

    def generate(
        self, arguments: Sequence[str], targets: Sequence[str], folder: Path, assistants: int = 0
    ) -> subprocess.Popen[bytes]:
        service, names = self.services[GENERATOR], [f"{ASSISTANT}-{number + 1}" for number in range(assistants)]
        self.drop([name for name in self._processes if name.startswith(ASSISTANT)])  # of the run before
        self._processes |= {name: self._start(ASSISTANT, name) for name in names}
        command = [sys.executable, "-m", "loadtests", *arguments, f"--folder={folder}"]
        urls = {"TARGETS": " ".join(f"{name}={self._url(name)}" for name in targets)}
        return runtime.start_generator(command, self._environment(service) | urls | runtime.terminal_environment())

    def interrupt(self, generator: subprocess.Popen[bytes]) -> None:
        generator.send_signal(signal.SIGINT)

    def lost(self) -> str:
        return ""

    def bring_back(self, folder: Path) -> None:
        """Leave the folder: it is here."""

    def down(self) -> None:
        self.drop(list(self._processes))
        while self._holders:
            self._holders.pop().close()

    def drop(self, services: Sequence[str]) -> None:
        ended = [self._processes.pop(name) for name in services if name in self._processes]
        for process in ended:
            signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for process in ended:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            signal_group(process, signal.SIGKILL)  # also a worker that outlived its server
            process.wait()

    def published(self) -> Mapping[str, str]:
        return {name: self._url(name) for name in self._processes if self.services[name].ports}

    @property
    def metrics(self) -> Mapping[str, str]:
        """Return where each service reports what it does."""
        return {name: self._url(name, METRICS_PORT) for name, ports in self._ports.items() if METRICS_PORT in ports}

    def _url(self, service: str, port: int = PORT) -> str:
        return f"http://127.0.0.1:{self._ports[service][port]}"

    def describe(self) -> Mapping[str, Any]:
        return {
            name: runtime.description(service.command, service.environment)
            for name, service in {**self.services, **self._declared}.items()  # as in containers, to be comparable
            if name in self._processes or name == GENERATOR
        }


PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_launcher() -> None:
    """Have the kernel end this service when the launcher ends, also by `kill -9` (Linux only).

    It runs between fork and exec, which is safe because the launcher has no threads.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
