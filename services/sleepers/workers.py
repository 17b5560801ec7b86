"""Threads or tasks that sleep together and end: `python -m services.sleepers.workers KIND NUMBER SECONDS`."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path


def threads(number: int, seconds: float) -> None:
    """Raise RuntimeError, MemoryError where so many cannot be started."""
    awake = threading.Event()
    started = []
    try:
        for _ in range(number):
            thread = threading.Thread(target=awake.wait)
            thread.start()
            started.append(thread)
        time.sleep(seconds)
    finally:
        awake.set()
        for thread in started:
            thread.join()


async def tasks(number: int, seconds: float) -> None:
    """Raise MemoryError where so many cannot be started."""
    awake = asyncio.Event()
    started = [asyncio.create_task(awake.wait()) for _ in range(number)]
    await asyncio.sleep(0)  # each begins to wait
    await asyncio.sleep(seconds)
    awake.set()
    await asyncio.wait(started)


def main(kind: str, number: str, seconds: str) -> None:
    with suppress(OSError):  # where memory runs out the kernel ends this process, and not the service that started it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    try:
        if kind == "threads":
            threads(int(number), float(seconds))
        else:
            asyncio.run(tasks(int(number), float(seconds)))
    except (RuntimeError, MemoryError) as error:
        sys.exit(f"{type(error).__name__}: {error}".removesuffix(": "))


if __name__ == "__main__":
    main(*sys.argv[1:])
