"""A crowd of sleepers, threads or tasks: `python -m services.crowd KIND NUMBER SECONDS STACK GC`.

A process of its own, so that the crowd's memory can be told from anything else's, and is given back. It prints a JSON
object a line: how far it is, and in the end how it went.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PARTS = 20  # of the crowd; after each of them it says how far it is

CGROUP = Path("/sys/fs/cgroup")
LIMIT_AND_USE = (  # of memory, in bytes; version 2 and version 1 of control groups
    (CGROUP / "memory.max", CGROUP / "memory.current"),
    (CGROUP / "memory" / "memory.limit_in_bytes", CGROUP / "memory" / "memory.usage_in_bytes"),
)
NO_LIMIT = 2**60  # bytes; version 1 says a number above it


class Crowd:
    """Counts who was started and who sleeps; `enter` and `leave` are called by many threads, or by one event loop."""

    def __init__(self, number: int, seconds: float) -> None:
        self.number = number
        self.seconds = seconds
        self._part = max(1, number // PARTS)
        self._memory = memory("VmRSS")
        self._counted = self._counted_peak = counted()
        self._begun = self._last_entered = time.perf_counter()
        self._started = self._sleeping = self._at_once = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        with self._lock:
            self._started += 1
            if not self._started % self._part:
                self.say()

    def enter(self) -> None:
        with self._lock:
            self._sleeping += 1
            self._at_once = max(self._at_once, self._sleeping)
            self._last_entered = time.perf_counter()
            if self._sleeping == self.number or not self._sleeping % self._part:
                self.say()

    def leave(self) -> None:
        with self._lock:
            self._sleeping -= 1

    def say(self, stopped_by: str | None = None, *, ended: bool = False) -> None:
        if self._counted_peak is not None:
            self._counted_peak = max(self._counted_peak, counted() or 0)
        facts = {
            "started": self._started,
            "at_once": self._at_once,
            "seconds_to_start": self._last_entered - self._begun,
            "seconds_to_end": time.perf_counter() - self._begun,
            "memory_before_bytes": self._memory,
            "memory_peak_bytes": memory("VmHWM"),
            "counted_before_bytes": self._counted,
            "counted_peak_bytes": self._counted_peak,
            "ended": ended,
            "stopped_by": stopped_by,
        }
        print(json.dumps(facts), flush=True)


def threads(crowd: Crowd) -> str | None:
    """What stopped it from starting all of them, or None."""

    def sleeper() -> None:
        crowd.enter()
        time.sleep(crowd.seconds)
        crowd.leave()

    started = []
    try:
        for _ in range(crowd.number):
            thread = threading.Thread(target=sleeper)
            thread.start()
            started.append(thread)
            crowd.start()
    except (RuntimeError, MemoryError) as error:
        return why(error)
    finally:
        for thread in started:
            thread.join()
    return None


def tasks(crowd: Crowd) -> str | None:
    """What stopped it from starting all of them, or None."""
    return asyncio.run(sleep_in_tasks(crowd))


async def sleep_in_tasks(crowd: Crowd) -> str | None:
    started = ended = 0
    all_ended = asyncio.Event()

    async def sleeper() -> None:
        nonlocal ended
        crowd.enter()
        await asyncio.sleep(crowd.seconds)
        crowd.leave()
        ended += 1
        if ended == started:
            all_ended.set()

    loop = asyncio.get_running_loop()
    try:
        for _ in range(crowd.number):
            loop.create_task(sleeper())  # noqa: RUF006  # the loop itself keeps those that are ready and those that sleep
            started += 1
            crowd.start()
    except MemoryError as error:
        return why(error)
    finally:
        if started:
            await all_ended.wait()
    return None


def why(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")


START: dict[str, Callable[[Crowd], str | None]] = {"threads": threads, "tasks": tasks}


def memory(name: str) -> int:
    """Bytes of this process: VmRSS now, VmHWM at the most."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def counted() -> int | None:
    """Bytes that the memory limit counts, which are also those of the kernel for each thread; None without a limit."""
    for limit, use in LIMIT_AND_USE:
        with suppress(OSError, ValueError):  # not there, or "max"
            if int(limit.read_text()) < NO_LIMIT:
                return int(use.read_text())
    return None


def die_first() -> None:
    """Where memory runs out the kernel shall end this process, and not the service that started it."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


def main(kind: str, number: str, seconds: str, stack: str, collector: str) -> None:
    die_first()
    threading.stack_size(int(stack))
    if collector == "off":
        gc.disable()
    crowd = Crowd(int(number), float(seconds))
    crowd.say(START[kind](crowd), ended=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
