"""Real containers and a real browser. Without them a test is skipped with the reason; in CI it fails."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, sync_playwright

from loadtests.host import processes
from loadtests.host.compose import why_no_engine
from loadtests.host.processes import free_port
from loadtests.host.runtime import port_variable
from tests.runs import Lab

PROJECT = "lab-test"
RUN_PROJECT = f"{PROJECT}-run-{os.getuid()}"
SERVICES = ("api", "wsgi", "asgi", "locust")


def cannot_run(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"in CI this has to run: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _own_ports() -> None:
    """Others than those of the tests that run beside these, so that neither takes a port that the other has chosen."""
    processes.CANDIDATES = cycle(random.sample(range(10_000, 20_000), 10_000))


@pytest.fixture(scope="session")
def engine() -> None:
    if why := why_no_engine():
        cannot_run(f"no Docker engine answers: {why}")


@pytest.fixture(scope="session")
def docker_environment(clean_environment: dict[str, str]) -> dict[str, str]:
    return {**clean_environment, "RUNTIME": "docker"}


def own_project(name: str, services: Sequence[str] = SERVICES) -> dict[str, str]:
    """A Compose project and free ports, beside any lab that is up."""
    return {"COMPOSE_PROJECT_NAME": name, **{port_variable(service): str(free_port()) for service in services}}


@dataclass(frozen=True)
class Stack:
    """The whole lab, up."""

    environment: Mapping[str, str]
    root: Path
    idle_memory: tuple[float, ...] = ()  # bytes of each container, before anybody asked for anything

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.environment[port_variable(service)]}"

    def compose(self, *words: str) -> str:
        return self.docker("compose", *words)

    def docker(self, *words: str) -> str:
        done = subprocess.run(
            ["docker", *words],  # noqa: S607
            cwd=self.root,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def memory(self) -> tuple[float, ...]:
        """Bytes of each container now."""
        containers = self.compose("ps", "--quiet").split()
        said = self.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", *containers)
        return tuple(float(line.partition("MiB")[0]) * 1024**2 for line in said.splitlines())

    def inspect(self, service: str) -> dict[str, Any]:
        container = self.compose("ps", "--quiet", service).strip()
        inspected: dict[str, Any] = json.loads(self.docker("inspect", container))[0]
        return inspected


@pytest.fixture(scope="session")
def stack(engine: None, docker_environment: dict[str, str], root: Path) -> Iterator[Stack]:
    stack = Stack({**docker_environment, **own_project("lab-test-stack"), "LATENCY": "0.2"}, root)
    try:
        stack.compose("up", "--detach", "--build", "--wait")
        yield replace(stack, idle_memory=stack.memory())
    finally:
        stack.compose("down", "--timeout", "3")


@pytest.fixture
def docker_lab(engine: None, docker_environment: dict[str, str], tmp_path: Path) -> Lab:
    """Runs of `make loadtest` in a project beside that of `stack`."""
    return Lab({**docker_environment, "COMPOSE_PROJECT_NAME": PROJECT}, tmp_path / "results")


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    cannot_run("no Chromium is installed (on Debian: apt install chromium)")


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Not longer than a test: while it is open an event loop runs in this thread, in the way of any other."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        yield browser
        browser.close()
