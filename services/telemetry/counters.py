"""What a service says of itself, counted where it happens: in the processes of its server.

The numbers lie in files that `services.telemetry.supervise` reads and serves as Prometheus text, so that they are there
while every slot is taken or the event loop is blocked. Counting has to be cheap: a microsecond a call.
TELEMETRY=off leaves it out, which is how a benchmark finds what it costs.
"""

from __future__ import annotations

import asyncio
import os
from threading import Lock, Thread
from time import perf_counter, sleep

from prometheus_client import Gauge, Histogram

from services import env

ON = env.switch("TELEMETRY")
# The port at which `services.telemetry.supervise` serves the metrics; None where it does not.
METRICS_PORT = int(env.text("TELEMETRY_ADDRESS").rpartition(":")[2]) if ON else None
LOOK = 0.1  # seconds between two looks at an event loop's lag
PUBLISH = 0.1  # seconds that what is in flight may be old


class InFlight:
    """Work that has begun and not ended: how much now, and the most there has been since the start.

    Use it as a context manager around each piece of work, or call `begin` and `end`. It counts in memory and publishes
    ten times a second: a gauge set at every change costs 2 to 3 % of a page.
    """

    def __init__(self, name: str, documentation: str) -> None:
        self._now = Gauge(f"{name}_in_flight", f"{documentation} in flight", multiprocess_mode="livesum")
        self._peak = Gauge(
            f"{name}_in_flight_peak", f"most {documentation} in flight since the start", multiprocess_mode="livesum"
        )
        self.now = 0
        self.peak = 0
        self._lock = Lock()  # sync pages and calls count from many threads
        in_flight.append(self)

    def begin(self) -> None:
        if ON:
            with self._lock:
                self.now = now = self.now + 1
                self.peak = max(self.peak, now)

    def end(self, *_: object) -> None:
        if ON:
            with self._lock:
                self.now -= 1

    __enter__, __exit__ = begin, end

    def publish(self) -> None:
        self._now.set(self.now)
        self._peak.set(self.peak)


in_flight: list[InFlight] = []


def publish() -> None:
    """Publish from a thread, even while the event loop is blocked."""
    while True:
        for one in in_flight:
            one.publish()
        sleep(PUBLISH)


def start_publishing() -> None:
    Thread(target=publish, name="telemetry", daemon=True).start()


if ON:
    start_publishing()
    os.register_at_fork(after_in_child=start_publishing)  # a server's workers have none of its threads


def lateness(name: str, documentation: str) -> Histogram:
    """Return a histogram of seconds that something came too late."""
    return Histogram(
        name, documentation, buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
    )


def loop_lag() -> Histogram:
    """Return the histogram of the event loop's lag. It is made before a project's own variables can move its file."""
    return lateness("lab_event_loop_lag_seconds", "how late the event loop came back to a task")


async def watch_event_loop(lag: Histogram) -> None:
    """Observe, without an end, how much later than asked for this event loop comes back to a task."""
    while ON:
        asked = perf_counter() + LOOK
        await asyncio.sleep(LOOK)
        lag.observe(max(0.0, perf_counter() - asked))
