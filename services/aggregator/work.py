"""A page that computes: it takes CPU and holds the GIL, so it stops an event loop and slows every other thread."""

from __future__ import annotations

from time import thread_time

STEPS = 1000  # of work between two looks at the clock: some 10 µs


def compute(seconds: float) -> None:
    """Take so many CPU seconds of this thread."""
    if not seconds:
        return
    end = thread_time() + seconds
    while thread_time() < end:
        for _ in range(STEPS):
            pass
