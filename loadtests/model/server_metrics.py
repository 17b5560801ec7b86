"""What the services reported of themselves during one measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

LATENESS = "lab_call_lateness_seconds"  # of the api: its response time beyond the latency asked for
LOOP_LAG = "lab_event_loop_lag_seconds"


@dataclass(frozen=True, slots=True)
class Worker:
    """A server's process: `pages` that it finished in the window, `pages_in_flight` (the median of a reading a second)
    and `most_pages_in_flight`; calls, where it is the api's. `process` is its id; `ended`: it ended within the window.
    `late`: by how many seconds its event loop came back, or the api's answers came, p99; None where it did not say it.
    """

    process: str
    pages: float
    pages_in_flight: float
    most_pages_in_flight: float
    ended: bool = False
    late: float | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """Where a figure of `Inside` comes from: a metric of the target or of the `api`, and what of its readings counts.

    `how`: "median" or "highest" of a reading a second, "sum" of what a counter grew by in the window, or "p99" of what
    a histogram counted in it, in the worker that has the most.
    """

    how: Literal["median", "highest", "sum", "p99"]
    name: str
    api: bool = False


def metric(how: Literal["median", "highest", "sum", "p99"], name: str, *, api: bool = False) -> Any:
    return field(default=None, metadata={"metric": Metric(how, name, api)})


@dataclass(frozen=True, slots=True)
class Inside:
    """One measurement seen from inside; None where a service did not say it.

    Seconds, bytes and counts. `slots_busy`: those with a connection, also one whose request has not come whole.
    `run_queue_seconds`: that threads were ready to run and had no core. `memory` is what the server's processes take,
    `memory_limited` all that counts against the container's limit. `workers_started`: workers that were not there when
    the window was opened.
    """

    pages_in_flight: float | None = metric("median", "lab_pages_in_flight")
    most_pages_in_flight: float | None = metric("highest", "lab_pages_in_flight")
    calls_in_flight: float | None = metric("median", "lab_calls_in_flight", api=True)
    most_calls_in_flight: float | None = metric("highest", "lab_calls_in_flight", api=True)
    requests_queued: float | None = metric("median", "lab_requests_queued")
    slots_busy: float | None = metric("median", "lab_slots_in_flight")
    threads: float | None = metric("highest", "lab_threads")
    memory: float | None = metric("highest", "lab_memory_bytes")
    memory_limited: float | None = metric("highest", "lab_memory_limited_bytes")
    cpu_seconds: float | None = metric("sum", "lab_cpu_seconds_total")
    throttled_seconds: float | None = metric("sum", "lab_cpu_throttled_seconds_total")
    run_queue_seconds: float | None = metric("sum", "lab_run_queue_seconds_total")
    connections_opened: float | None = metric("sum", "lab_upstream_connections_opened_total")
    pool_wait_seconds: float | None = metric("sum", "lab_upstream_pool_wait_seconds_total")
    loop_lag_p99: float | None = metric("p99", LOOP_LAG)
    api_lateness_p99: float | None = metric("p99", LATENESS, api=True)
    api_cpu_seconds: float | None = metric("sum", "lab_cpu_seconds_total", api=True)
    api_throttled_seconds: float | None = metric("sum", "lab_cpu_throttled_seconds_total", api=True)
    api_run_queue_seconds: float | None = metric("sum", "lab_run_queue_seconds_total", api=True)
    api_memory: float | None = metric("highest", "lab_memory_bytes", api=True)
    pages_finished: float | None = metric("sum", "lab_pages_finished_total")
    pages_cancelled: float | None = metric("sum", "lab_pages_cancelled_total")
    background_started: float | None = metric("sum", "lab_background_started_total")
    background_finished: float | None = metric("sum", "lab_background_finished_total")
    background_cancelled: float | None = metric("sum", "lab_background_cancelled_total")
    api_calls_answered: float | None = metric("sum", 'lab_calls_total{how="answered"}', api=True)
    api_calls_abandoned: float | None = metric("sum", 'lab_calls_total{how="abandoned"}', api=True)
    api_memory_limited: float | None = metric("highest", "lab_memory_limited_bytes", api=True)
    workers_started: float | None = None
    workers: tuple[Worker, ...] = ()
    api_workers: tuple[Worker, ...] = ()


METRICS: Mapping[str, Metric] = {
    figure.name: figure.metadata["metric"] for figure in fields(Inside) if "metric" in figure.metadata
}
