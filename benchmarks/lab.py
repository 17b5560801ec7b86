"""Where a benchmark runs: local processes, what is measured on a core of its own, everything else beside it.

Processes and not containers: a published port is a proxy, which would be measured too.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import psutil
import uvloop

from benchmarks.result import Result
from loadtests import ROOT
from loadtests.analysis.machine import between
from loadtests.errors import Interrupted, LabDown
from loadtests.generator import sampler, targets
from loadtests.host import launch
from loadtests.host.processes import ProcessRuntime, free_port
from loadtests.model.service import METRICS_PORT, PORT
from loadtests.model.target import Target
from loadtests.results.folders import FOLDER as RESULTS
from services.telemetry.supervise import cpu_seconds

T = TypeVar("T")

ATTEMPTS = 3  # at a round, when something else disturbs it
PATIENCE = 120.0  # seconds until a load generator has to have ended
LOGS = RESULTS / "bench-logs"
CAN_PIN = hasattr(os, "sched_setaffinity")
CORES = os.sched_getaffinity(0) if CAN_PIN else set()
OWN = {max(CORES)} if len(CORES) > 1 else CORES
REST = CORES - OWN or CORES
ISOLATION = f"on core {max(OWN)}, everything else beside it" if len(CORES) > 1 else "not on a core of its own"


class PinnedRuntime(ProcessRuntime):
    """The process runtime with what is measured on a core of its own, and peers beside the services."""

    def __init__(self, measured: Collection[str]) -> None:
        super().__init__(LOGS)
        self._measured = set(measured)
        self.threads: Counter[str] = Counter()  # the most that a process of a service had

    def add_peer(self, name: str, *, like: str = "asgi", command: Sequence[str] = (), **environment: str) -> None:
        """Add a server like one of the services: its command and environment, but for what is given.

        `{port}` in a command of its own is the port that it has to listen on.
        """
        service, old, new = self.services[like], str(self._ports[like][PORT]), str(free_port())
        self._ports[name] = {PORT: int(new), METRICS_PORT: free_port()}
        address = {"TELEMETRY_ADDRESS": f"127.0.0.1:{self._ports[name][METRICS_PORT]}"}
        self.services[name] = replace(
            service,
            name=name,
            command=[word.replace("{port}", new).replace(old, new) for word in command or service.command],
            environment=service.environment | address | environment,
            probe=[word.replace(old, new) for word in service.probe],
        )
        self._measured.add(name)

    def ask(self, name: str, like: str | None = None) -> Target:
        """Ask a server that is up what it is; a peer answers as the service that it is like. Raises LabDown."""
        return targets.ask(like or name, self.published()[name])

    def _start(self, name: str, called: str = "") -> subprocess.Popen[bytes]:
        pin(OWN if name in self._measured else REST)  # inherited, so no thread is born elsewhere
        try:
            return super()._start(name, called)
        finally:
            pin(REST)

    def cpu(self, name: str) -> Callable[[], float]:
        """Return a reader of the CPU seconds of a service's process tree, which notes the most threads it had."""
        process = psutil.Process(self._processes[name].pid)
        tree = [process, *process.children(recursive=True)]

        def read() -> float:
            self.threads[name] = max(self.threads[name], *(process.num_threads() for process in tree))
            return sum(map(cpu_seconds, tree))

        return read

    def cpu_by_part(self, name: str) -> dict[str, float]:
        """Return the CPU seconds of the server's main thread, of its other threads, and of the process beside it."""
        beside = psutil.Process(self._processes[name].pid)
        (server,) = beside.children()
        main = next(thread for thread in server.threads() if thread.id == server.pid)
        loop = main.user_time + main.system_time
        return {"loop": loop, "threads": cpu_seconds(server) - loop, "beside": cpu_seconds(beside)}


def pin(cores: Collection[int]) -> None:
    """Run this process, and what it starts from now on, on these cores."""
    if CAN_PIN:
        os.sched_setaffinity(0, cores)


@contextmanager
def running(*measured: str) -> Iterator[PinnedRuntime]:
    """Bring these services up; stop all that was started, whatever happens inside. A signal raises Interrupted."""
    runtime = PinnedRuntime(measured)
    with launch.signals_as_interrupts():
        pin(REST)
        try:
            runtime.prepare()
            runtime.up(measured)
            yield runtime
        finally:
            with launch.signals_ignored():
                runtime.down()
                pin(CORES)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine; a signal cancels it, because an exception would end in one connection's callback."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        task = loop.create_task(coroutine)

        def interrupt(*_: object) -> None:
            loop.call_soon_threadsafe(task.cancel)

        with launch.handled(interrupt):
            try:
                return loop.run_until_complete(task)
            except asyncio.CancelledError:
                raise Interrupted from None


def undisturbed(
    measure: Callable[[], Coroutine[Any, Any, T]], quality: Callable[[T], float], least: float
) -> tuple[T, int]:
    """Return the first of ATTEMPTS whose quality is enough, or else the best, and how many were refused."""
    measured: list[T] = []
    while len(measured) < ATTEMPTS and (not measured or quality(measured[-1]) < least):
        measured.append(run(measure()))
    return max(measured, key=quality), len(measured) - 1


def undisturbed_by_others(benchmark: Callable[[], Result]) -> Result:
    """Return what it found, which says nothing where something else used the machine meanwhile.

    All that it started has ended by then, so that the CPU which that took is known: that of this process's children.
    """
    before, began, children = sampler.moment(), time.monotonic(), children_cpu_seconds()
    result = benchmark()
    used = children_cpu_seconds() - children
    machine = between(before, sampler.moment(), time.monotonic() - began, [used], [None])
    if result.invalid or not machine.disturbed:
        return result
    return replace(result, invalid=f"something else used the machine: {machine.words}")


def children_cpu_seconds() -> float:
    """Return the CPU seconds of those that have ended, and of theirs."""
    times = os.times()
    return times.children_user + times.children_system


def generated(name: str, *command: object) -> dict[str, float]:
    """Return the figures in the last line that a load generator prints, which is stopped with us. Raises LabDown."""
    words = [*map(str, command)]
    try:
        ended = subprocess.run(
            words, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True, timeout=PATIENCE, check=True
        )
    except subprocess.SubprocessError as error:
        raise LabDown(f"the load generator {name} did not measure: {error}") from error
    figures: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return figures


def alternating(names: Collection[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Yield A B C, C B A, A B C, …: a drift affects all of them alike."""
    for turn in range(rounds):
        yield from ((turn, name) for name in list(names)[:: -1 if turn % 2 else 1])
