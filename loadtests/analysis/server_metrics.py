"""Readings of a step → what happened inside the services. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from loadtests.analysis.readings import Reading, grown, of_worker, p99, p99_by_worker
from loadtests.model.server_metrics import LATENESS, LOOP_LAG, METRICS, Inside, Metric, Worker

Readings = Sequence[Reading | None]
COMBINED: Mapping[str, Callable[[Sequence[float]], float]] = {"sum": sum, "median": lambda them: float(median(them))}


def inside(target: Readings, api: Readings) -> Inside:
    """Return the metrics of a window from readings about a second apart, the first and the last at its edges."""
    values = {name: figure(metric, api if metric.api else target) for name, metric in METRICS.items()}
    of_api = workers(api, "lab_calls_total", "lab_calls_in_flight", LATENESS)
    return Inside(**values, workers_started=started(*edges(target)), workers=workers(target), api_workers=of_api)


def figure(metric: Metric, readings: Readings) -> float | None:
    """Return what a metric amounts to in a window; None where the service did not say it."""
    if metric.how == "sum":
        return grown(*edges(readings), metric.name)
    if metric.how == "p99":
        return p99(*edges(readings), metric.name)
    return combined(metric.how, [reading.number(metric.name) if reading else None for reading in readings])


def combined(how: str, values: Sequence[float | None]) -> float | None:
    """Return the sum (unknown if one value is), the median, or else the highest of those that are known."""
    known = [value for value in values if value is not None]
    if not known or (how == "sum" and len(known) < len(values)):
        return None
    return COMBINED.get(how, max)(known)


FINISHED, IN_FLIGHT = "lab_pages_finished_total", "lab_pages_in_flight"


def workers(
    readings: Readings, finished: str = FINISHED, flying: str = IN_FLIGHT, histogram: str = LOOP_LAG
) -> tuple[Worker, ...]:
    """Return what each worker did between the first reading and the last, the busiest first."""
    first, last = edges(readings)
    if first is None or last is None:
        return ()
    before, after = (one.by_label(of_worker(finished)) for one in (first, last))
    in_flight = [one.by_label(of_worker(flying)) for one in readings if one is not None]
    late, alive = p99_by_worker(first, last, histogram), in_flight[-1]
    found = []
    for process in {worker for reading in in_flight for worker in reading}:
        seen = [reading[process] for reading in in_flight if process in reading]
        pages = after.get(process, 0.0) - before.get(process, 0.0)
        ended = process not in alive
        found.append(Worker(process, pages, float(median(seen)), max(seen), ended=ended, late=late.get(process)))
    return busiest_first(found)


def started(first: Reading | None, last: Reading | None) -> float | None:
    """Return how many workers there are that were not there before; None where the target does not say."""
    if first is None or last is None:
        return None
    before, after = (one.by_label(of_worker(IN_FLIGHT)).keys() for one in (first, last))
    return float(len(after - before)) if before else None


def busiest_first(found: Iterable[Worker]) -> tuple[Worker, ...]:
    return tuple(sorted(found, key=lambda worker: (-worker.pages, worker.process)))


def workers_together(repeats: Iterable[Iterable[Worker]]) -> tuple[Worker, ...]:
    """Return each process once, over all repeats: its pages added up, the median of what it had in flight."""
    by_process: dict[str, list[Worker]] = {}
    for one in repeats:
        for worker in one:
            by_process.setdefault(worker.process, []).append(worker)
    return busiest_first(
        Worker(
            process,
            sum(worker.pages for worker in same),
            float(median(worker.pages_in_flight for worker in same)),
            max(worker.most_pages_in_flight for worker in same),
            ended=any(worker.ended for worker in same),
            late=combined("highest", [worker.late for worker in same]),
        )
        for process, same in by_process.items()
    )


def together(repeats: Sequence[Inside]) -> Inside:
    """Combine repeats: sums are added (unknown if one is), of medians the median, of all else the highest."""
    hows = {name: metric.how for name, metric in METRICS.items()} | {"workers_started": "sum"}
    values = {name: combined(how, [getattr(repeat, name) for repeat in repeats]) for name, how in hows.items()}
    of_api = workers_together(one.api_workers for one in repeats)
    return Inside(**values, workers=workers_together(one.workers for one in repeats), api_workers=of_api)


def edges(readings: Readings) -> tuple[Reading | None, Reading | None]:
    return (readings[0], readings[-1]) if readings else (None, None)
