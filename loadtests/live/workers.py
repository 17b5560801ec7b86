"""With Locust workers: what each counted goes to the master every second, histograms and not percentiles."""

from __future__ import annotations

import time
from typing import Any

import psutil
from locust import runners
from locust.env import Environment

from loadtests.live.counts import PageCounts

KEY = "live"  # of Locust's own report
REPORT_EVERY = 1.0  # seconds; Locust's own three would come in bursts
FORGOTTEN_AFTER = 5.0  # seconds without a report


def report(environment: Environment, counts: PageCounts) -> None:
    """Count in a worker, and send the counts along with Locust's own report."""
    runners.WORKER_REPORT_INTERVAL = REPORT_EVERY
    process = psutil.Process()
    process.cpu_percent()

    def add(client_id: str, data: dict[str, Any]) -> None:
        data[KEY] = {"of": counts.pack(), "cpu": process.cpu_percent() / 100}

    environment.events.request.add_listener(counts.page)  # type: ignore[no-untyped-call]
    environment.events.report_to_master.add_listener(add)  # type: ignore[no-untyped-call]


class Master:
    """Adds up what workers report; without workers there is nothing to add."""

    def __init__(self, environment: Environment, counts: PageCounts) -> None:
        self._counts = counts
        self._cpu: dict[str, tuple[float, float]] = {}  # when it was said, cores; by worker
        environment.events.worker_report.add_listener(self._reported)  # type: ignore[no-untyped-call]

    def _reported(self, client_id: str, data: dict[str, Any]) -> None:
        if KEY in data:
            self._counts.unpack(data[KEY]["of"])
            self._cpu[client_id] = (time.monotonic(), data[KEY]["cpu"])

    @property
    def cpu(self) -> float:
        """Return the cores of the busiest worker: each computes on one."""
        now = time.monotonic()
        self._cpu = {name: said for name, said in self._cpu.items() if now - said[0] < FORGOTTEN_AFTER}
        return max((cores for _, cores in self._cpu.values()), default=0.0)
