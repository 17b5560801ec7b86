"""What the services reported of themselves during one measurement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Worker:
    """A server's process: `pages` that it finished in the window, `pages_in_flight` (the median of a reading a second)
    and `most_pages_in_flight`. `process` is its id; `ended`: it ended within the window.
    """

    process: str
    pages: float
    pages_in_flight: float
    most_pages_in_flight: float
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Inside:
    """One measurement seen from inside; None where a service did not say it.

    Seconds, bytes and counts. `pages_in_flight`, `calls_in_flight`, `requests_queued` and `slots_busy` (those with a
    connection, also one whose request has not come whole) are medians over the window's readings; `threads`, `memory`
    and the `most_` their highest; CPU, throttling, waits, connections and what is counted are sums over the window.
    `run_queue_seconds`: that threads were ready to run and had no core. `memory` is what the server's processes take,
    `memory_limited` all that counts against the container's limit. `workers_started`: workers that were not there when
    the window was opened.
    """

    pages_in_flight: float | None = None
    most_pages_in_flight: float | None = None
    calls_in_flight: float | None = None
    most_calls_in_flight: float | None = None
    requests_queued: float | None = None
    slots_busy: float | None = None
    threads: float | None = None
    memory: float | None = None
    memory_limited: float | None = None
    cpu_seconds: float | None = None
    throttled_seconds: float | None = None
    run_queue_seconds: float | None = None
    connections_opened: float | None = None
    pool_wait_seconds: float | None = None
    loop_lag_p99: float | None = None
    api_lateness_p99: float | None = None
    api_cpu_seconds: float | None = None
    api_throttled_seconds: float | None = None
    api_run_queue_seconds: float | None = None
    api_memory: float | None = None
    pages_finished: float | None = None
    pages_cancelled: float | None = None
    background_started: float | None = None
    background_finished: float | None = None
    background_cancelled: float | None = None
    api_calls_answered: float | None = None
    api_calls_abandoned: float | None = None
    api_memory_limited: float | None = None
    workers_started: float | None = None
    workers: tuple[Worker, ...] = ()
