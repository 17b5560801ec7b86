"""With Locust workers: what each counted goes to the master every second, histograms and not percentiles."""

from __future__ import annotations

import time
from collections.abc import Callable
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


def collect(environment: Environment, counts: PageCounts) -> Callable[[], float]:
    """Add what workers report to the counts; return what tells the cores of the busiest: each computes on one."""
    cpu: dict[str, tuple[float, float]] = {}  # when it was said, cores; by worker

    def reported(client_id: str, data: dict[str, Any]) -> None:
        counts.unpack(data[KEY]["of"])
        cpu[client_id] = (time.monotonic(), data[KEY]["cpu"])

    def busiest() -> float:
        now = time.monotonic()
        return max((cores for said, cores in cpu.values() if now - said < FORGOTTEN_AFTER), default=0.0)

    environment.events.worker_report.add_listener(reported)  # type: ignore[no-untyped-call]
    return busiest
