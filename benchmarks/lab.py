"""Where a benchmark runs: local processes, what is measured on a core of its own, everything else beside it.

Processes and not containers: a published port is a proxy, which would be measured too.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from statistics import median
from types import FrameType
from typing import Any, TypeVar

import psutil
import uvloop

from benchmarks.result import Result
from loadtests import ROOT
from loadtests.analysis.machine import between
from loadtests.errors import Interrupted
from loadtests.generator import sampler
from loadtests.host import launch
from loadtests.host.processes import ProcessRuntime, free_port
from loadtests.model.service import METRICS_PORT, PORT
from loadtests.results.folders import FOLDER as RESULTS
from services.telemetry.supervise import cpu_seconds

T = TypeVar("T")

ATTEMPTS = 3  # at a round, when something else disturbs it
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
        self.processes: dict[str, psutil.Process] = {}

    def add_peer(
        self,
        name: str,
        application: str | None = None,
        *,
        like: str = "asgi",
        command: Sequence[str] = (),
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Add a server like one of the services: its command and environment, but for what is given.

        `{port}` in a command of its own is the port that it has to listen on.
        """
        service, old, new = self.services[like], str(self._ports[like][PORT]), str(free_port())
        words = command or [application if application and ":application" in word else word for word in service.command]
        ports = {PORT: int(new), METRICS_PORT: free_port()}
        address = {"TELEMETRY_ADDRESS": f"127.0.0.1:{ports[METRICS_PORT]}"}
        environment = service.environment | address | dict(extra or {})
        self.services[name] = replace(
            service,
            name=name,
            command=[word.replace("{port}", new).replace(old, new) for word in words],
            environment=environment,
            probe=[word.replace(old, new) for word in service.probe],
        )
        self._ports[name] = ports
        self._measured.add(name)

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        with on_cores(OWN if name in self._measured else REST):  # inherited, so no thread is born elsewhere
            process = super()._start(name)
        self.processes[name] = psutil.Process(process.pid)
        return process

    def cpu(self, name: str, threads: dict[str, int] | None = None) -> Callable[[], float]:
        """Return a reader of the CPU seconds of a service's process tree, which notes the most `threads` it had."""
        tree = [self.processes[name], *self.processes[name].children(recursive=True)]

        def read() -> float:
            if threads is not None:
                threads[name] = max([threads.get(name, 0), *(process.num_threads() for process in tree)])
            return sum(cpu_seconds(process) for process in tree)

        return read

    def cpu_by_part(self, name: str) -> dict[str, float]:
        """Return the CPU seconds of the server's main thread, of its other threads, and of the process beside it."""
        beside = self.processes[name]
        (server,) = beside.children()
        main = next(thread for thread in server.threads() if thread.id == server.pid)
        loop = main.user_time + main.system_time
        return {"loop": loop, "threads": cpu_seconds(server) - loop, "beside": cpu_seconds(beside)}


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Run this process, and what it starts meanwhile, on these cores."""
    if not CAN_PIN:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(runtime: PinnedRuntime) -> Iterator[None]:
    """Stop what `runtime` has started, whatever happens inside. A signal raises Interrupted."""
    with launch.signals_as_interrupts(), on_cores(REST):
        try:
            yield
        finally:
            with launch.signals_ignored():
                runtime.down()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine; a signal cancels it, because an exception would end in one connection's callback."""

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt(number: int, frame: FrameType | None) -> None:
            if task:
                loop.call_soon_threadsafe(task.cancel)

        with launch.handled(interrupt):
            return await coroutine

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main())
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
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def output_of(command: list[str], seconds: float) -> str:
    """Return what a process prints, which is stopped with us. Raises CalledProcessError, TimeoutExpired."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        with launch.signals_ignored(), suppress(ProcessLookupError):
            process.kill()
            process.wait()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, said)
    return str(said)


def alternating(names: Collection[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Yield A B C, C B A, A B C, …: a drift affects all of them alike."""
    for turn in range(rounds):
        for name in list(names) if turn % 2 == 0 else list(names)[::-1]:
            yield turn, name


def ratio(of: list[float], to: list[float]) -> tuple[float, float, float]:
    """Return the ratio of the medians, and the smallest and the largest of a single round."""
    single = [one / other for one, other in zip(of, to, strict=True)]
    return median(of) / median(to), min(single), max(single)
