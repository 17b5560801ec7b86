"""What a service said of itself at one moment, and what follows from two such readings. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.model.measurement import NO_ANSWER

CHANCE = 3.0  # standard deviations


@dataclass(frozen=True, slots=True)
class Reading:
    """`values` by metric name, and by name{label="value"}; `buckets` of its histograms: by metric name, counts by bound
    (seconds).
    """

    values: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[str, Mapping[float, float]] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        return int(self.values[name]) if name in self.values else None

    def by_label(self, name: str, label: str = "worker") -> dict[str, float]:
        """Return a metric's values by those of its label."""
        return {key: self.values[full] for key, full in labelled(self.values, name, label)}


def labelled(names: Iterable[str], name: str, label: str = "worker") -> Iterator[tuple[str, str]]:
    """Yield the label's values and the whole names, of those names that are `name` with this label."""
    beginning = f'{name}{{{label}="'
    for full in names:
        if full.startswith(beginning):
            yield full.removeprefix(beginning).removesuffix('"}'), full


def of_worker(name: str) -> str:
    """Return the name of the metric that tells a service's workers apart."""
    return name.replace("lab_", "lab_worker_", 1)


def grown(before: Reading | None, after: Reading | None, name: str) -> float | None:
    """Return how much a counter grew; None if it was not reported, or the service started anew in between."""
    if before is None or after is None or name not in after.values:
        return None
    growth = after.values[name] - before.values.get(name, 0.0)
    return growth if growth >= 0 else None


def difference(before: float | None, after: float | None) -> float | None:
    """Return `after` less `before`; None if one of them is not known."""
    return None if before is None or after is None else after - before


def p99(before: Reading | None, after: Reading | None, histogram: str) -> float | None:
    """Return the seconds that 99 % of what a histogram counted between two readings did not exceed.

    Where it is told apart by worker, in the worker that has the most: merged, one that is late hides among the others.
    Of a worker only what is late beyond chance: the more workers, the sooner some of one's few calls are late.
    It is the bound of a bucket, so the true value is that or less; or more, where it is the highest bound that there
    is. None when nothing is known.
    """
    if (merged := counted(before, after, histogram)) is None:
        return None
    each = counted_by_worker(before, after, histogram).values()
    found = (p99_of(merged), *(p99_of(counts, CHANCE) for counts in each))
    return max((late for late in found if late is not None), default=None)


def p99_by_worker(before: Reading | None, after: Reading | None, histogram: str) -> dict[str, float]:
    """Return the same of each worker that counted anything."""
    each = counted_by_worker(before, after, histogram).items()
    return {worker: late for worker, counts in each if (late := p99_of(counts)) is not None}


def counted_by_worker(before: Reading | None, after: Reading | None, histogram: str) -> dict[str, dict[float, float]]:
    """Return what each worker's histogram counted between two readings, by bucket; empty when nothing is known."""
    named = labelled(after.buckets, of_worker(histogram)) if after else ()
    return {worker: counts for worker, name in named if (counts := counted(before, after, name)) is not None}


def counted(before: Reading | None, after: Reading | None, histogram: str) -> dict[float, float] | None:
    """Return what a histogram counted between two readings, by bucket; None when nothing is known."""
    if before is None or after is None or histogram not in after.buckets:
        return None
    earlier = before.buckets.get(histogram, {})
    counts = {bound: count - earlier.get(bound, 0.0) for bound, count in after.buckets[histogram].items()}
    return counts if min(counts.values(), default=0.0) >= 0 else None  # the service was started anew in between


def p99_of(counts: Mapping[float, float], deviations: float = 0.0) -> float | None:
    """Return the bound below which 99 % of the counts lie, less so many standard deviations of how many lie beyond it;
    None when nothing was counted.
    """
    total = max(counts.values(), default=0.0)
    if total <= 0:
        return None
    least = 0.99 * total - deviations * math.sqrt(0.01 * total)
    bound = min(bound for bound, count in counts.items() if count >= least)
    return bound if math.isfinite(bound) else max(filter(math.isfinite, counts), default=None)


Pair = tuple[Reading | None, Reading | None]  # of the target and of the api


@dataclass(frozen=True, slots=True)
class Balance:
    """Three counts of the same pages and calls, by the users, the target and the api.

    Counts from a step's first page until nothing of it was in flight any more, with the warm-up and what came after
    the window. So nothing is on its way at an edge. None where a service did not say it.

    `whole`: whole pages; `received`: answers, whole pages or not, that came to their end; `broken`: pages without one;
    `cut_off`: those of them that the load generator left itself, at the step's end. `finished` and `cancelled`: the
    target's own count. `calls`: those that ended at the api, in whichever way.
    """

    whole: int
    received: int
    broken: int
    cut_off: int
    finished: float | None
    cancelled: float | None
    calls: float | None


def balance(faults: Sequence[str | None], cut_off: int, before: Pair, after: Pair) -> Balance:
    """Return the counts; `faults`: of each page that was asked for, None where it was whole."""
    broken = sum(fault is not None and fault.startswith(NO_ANSWER) for fault in faults)
    (target, api), (target_after, api_after) = before, after
    return Balance(
        whole=sum(fault is None for fault in faults),
        received=len(faults) - broken,
        broken=broken,
        cut_off=cut_off,
        finished=grown(target, target_after, "lab_pages_finished_total"),
        cancelled=grown(target, target_after, "lab_pages_cancelled_total"),
        calls=grown(api, api_after, "lab_calls_total"),
    )
