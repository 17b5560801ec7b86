"""Readings of a step → what happened inside the services. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from statistics import median
from typing import Any

from loadtests.analysis.readings import LATENESS, LOOP_LAG, Reading, grown, p99
from loadtests.model.server_metrics import Inside, Worker

Readings = Sequence[Reading | None]


SUMS = {
    "cpu_seconds",
    "throttled_seconds",
    "run_queue_seconds",
    "connections_opened",
    "pool_wait_seconds",
    "api_cpu_seconds",
    "api_throttled_seconds",
    "api_run_queue_seconds",
    "pages_finished",
    "pages_cancelled",
    "background_started",
    "background_finished",
    "background_cancelled",
    "api_calls_answered",
    "api_calls_abandoned",
    "workers_started",
}
MEDIANS = {"pages_in_flight", "calls_in_flight", "requests_queued", "slots_busy"}


def inside(target: Readings, api: Readings) -> Inside:
    """Return the metrics of a window from readings about a second apart, the first and the last at its edges."""
    first, last = edges(target)
    api_first, api_last = edges(api)
    return Inside(
        pages_in_flight=middle(target, "lab_pages_in_flight"),
        most_pages_in_flight=highest(target, "lab_pages_in_flight"),
        calls_in_flight=middle(api, "lab_calls_in_flight"),
        most_calls_in_flight=highest(api, "lab_calls_in_flight"),
        requests_queued=middle(target, "lab_requests_queued"),
        slots_busy=middle(target, "lab_slots_in_flight"),
        threads=highest(target, "lab_threads"),
        memory=highest(target, "lab_memory_bytes"),
        memory_limited=highest(target, "lab_memory_limited_bytes"),
        cpu_seconds=grown(first, last, "lab_cpu_seconds_total"),
        throttled_seconds=grown(first, last, "lab_cpu_throttled_seconds_total"),
        run_queue_seconds=grown(first, last, "lab_run_queue_seconds_total"),
        connections_opened=grown(first, last, "lab_upstream_connections_opened_total"),
        pool_wait_seconds=grown(first, last, "lab_upstream_pool_wait_seconds_total"),
        loop_lag_p99=p99(first, last, LOOP_LAG),
        api_lateness_p99=p99(api_first, api_last, LATENESS),
        api_cpu_seconds=grown(api_first, api_last, "lab_cpu_seconds_total"),
        api_throttled_seconds=grown(api_first, api_last, "lab_cpu_throttled_seconds_total"),
        api_run_queue_seconds=grown(api_first, api_last, "lab_run_queue_seconds_total"),
        api_memory=highest(api, "lab_memory_bytes"),
        pages_finished=grown(first, last, "lab_pages_finished_total"),
        pages_cancelled=grown(first, last, "lab_pages_cancelled_total"),
        background_started=grown(first, last, "lab_background_started_total"),
        background_finished=grown(first, last, "lab_background_finished_total"),
        background_cancelled=grown(first, last, "lab_background_cancelled_total"),
        api_calls_answered=grown(api_first, api_last, 'lab_calls_total{how="answered"}'),
        api_calls_abandoned=grown(api_first, api_last, 'lab_calls_total{how="abandoned"}'),
        api_memory_limited=highest(api, "lab_memory_limited_bytes"),
        workers_started=started(first, last),
        workers=workers(target),
    )


FINISHED, IN_FLIGHT = "lab_worker_pages_finished_total", "lab_worker_pages_in_flight"


def workers(readings: Readings) -> tuple[Worker, ...]:
    """Return what each worker did between the first reading and the last, the busiest first."""
    first, last = edges(readings)
    if first is None or last is None:
        return ()
    before, after, alive = first.by_worker(FINISHED), last.by_worker(FINISHED), last.by_worker(IN_FLIGHT)
    in_flight = [one.by_worker(IN_FLIGHT) for one in readings if one is not None]
    found = []
    for process in {worker for reading in in_flight for worker in reading}:
        seen = [reading[process] for reading in in_flight if process in reading]
        pages = after.get(process, 0.0) - before.get(process, 0.0)
        found.append(Worker(process, pages, float(median(seen)), max(seen), ended=process not in alive))
    return busiest_first(found)


def started(first: Reading | None, last: Reading | None) -> float | None:
    """Return how many workers there are that were not there before; None where the target does not say."""
    if first is None or last is None or not first.by_worker(IN_FLIGHT):
        return None
    return float(len(last.by_worker(IN_FLIGHT).keys() - first.by_worker(IN_FLIGHT).keys()))


def busiest_first(found: Iterable[Worker]) -> tuple[Worker, ...]:
    return tuple(sorted(found, key=lambda worker: (-worker.pages, worker.process)))


def workers_together(repeats: Sequence[Inside]) -> tuple[Worker, ...]:
    """Return each process once, over all repeats: its pages added up, the median of what it had in flight."""
    by_process: dict[str, list[Worker]] = {}
    for one in repeats:
        for worker in one.workers:
            by_process.setdefault(worker.process, []).append(worker)
    return busiest_first(
        Worker(
            process,
            sum(worker.pages for worker in same),
            float(median(worker.pages_in_flight for worker in same)),
            max(worker.most_pages_in_flight for worker in same),
            ended=any(worker.ended for worker in same),
        )
        for process, same in by_process.items()
    )


def together(repeats: Sequence[Inside]) -> Inside:
    """Combine repeats: sums are added (unknown if one is), of medians the median, of all else the highest."""
    values: dict[str, Any] = {"workers": workers_together(repeats)}
    for name in (field.name for field in fields(Inside) if field.name not in values):
        found = [value for one in repeats if (value := getattr(one, name)) is not None]
        combine: Callable[[Iterable[float]], float] = max
        if name in SUMS:
            combine = sum
        elif name in MEDIANS:
            combine = median
        known = len(found) == len(repeats) if name in SUMS else bool(found)
        values[name] = combine(found) if known and found else None
    return Inside(**values)


def edges(readings: Readings) -> tuple[Reading | None, Reading | None]:
    return (readings[0], readings[-1]) if readings else (None, None)


def numbers(readings: Readings, name: str) -> list[int]:
    return [value for one in readings if one is not None and (value := one.number(name)) is not None]


def middle(readings: Readings, name: str) -> float | None:
    found = numbers(readings, name)
    return float(median(found)) if found else None


def highest(readings: Readings, name: str) -> float | None:
    return max(numbers(readings, name), default=None)
