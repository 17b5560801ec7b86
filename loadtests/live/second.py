"""What one target did in a second, and over the last few. Pure.

A step is made in the shape of summary.json, with the moment it is true at, so that the report's plots draw it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from hdrh.histogram import HdrHistogram

from loadtests.analysis.histograms import histogram
from loadtests.analysis.readings import p99_of
from loadtests.analysis.server_metrics import combined
from loadtests.analysis.statistics import PERCENTILES, all_percentiles
from loadtests.model.prediction import Prediction, predicted_of
from loadtests.model.summary import StepSummary

Lags = Mapping[str, Mapping[float, float]]  # by worker: counts by bound, in seconds
WINDOW = 5.0  # seconds that a figure looks back: ten pages end in one burst, and a second alone would show the bursts


@dataclass(frozen=True, slots=True)
class Load:
    """What users got: counts, and the response times of whole pages as HdrHistogram encodes them (b"": no page)."""

    pages: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    times: bytes = b""

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    def __add__(self, other: Load) -> Load:
        return Load(
            self.pages + other.pages,
            Counter(self.failures) + Counter(other.failures),
            encoded(merged([self, other])),
        )


@dataclass(frozen=True, slots=True)
class Second:
    """One target for about a second, or for several that were merged into one. Seconds, bytes and counts."""

    length: float
    users: int
    load: Load = Load()
    pages_in_flight: float | None = None
    calls_in_flight: float | None = None
    cpu_seconds: float | None = None
    memory: float | None = None
    predicted: Prediction | None = None
    loop_lag: Lags = field(default_factory=dict)  # of the event loop of each worker; empty: no loop

    def then(self, later: Second) -> Second:
        """Return both as one: counts are added, what is in flight is averaged, memory is the highest."""
        length = self.length + later.length

        def mean(a: float | None, b: float | None) -> float | None:
            if a is None or b is None:
                return b if a is None else a
            return (a * self.length + b * later.length) / length

        return replace(
            later,
            length=length,
            load=self.load + later.load,
            pages_in_flight=mean(self.pages_in_flight, later.pages_in_flight),
            calls_in_flight=mean(self.calls_in_flight, later.calls_in_flight),
            cpu_seconds=combined("sum", [self.cpu_seconds, later.cpu_seconds]),
            memory=combined("highest", [self.memory, later.memory]),
            loop_lag=added(one.loop_lag for one in (self, later)),
        )


def merged(loads: Iterable[Load]) -> HdrHistogram:
    """Merge the response times: percentiles of several seconds come from this, never from those of each."""
    together = histogram()
    for load in loads:
        if load.times:
            together.decode_and_add(load.times)
    return together


def encoded(times: HdrHistogram) -> bytes:
    return bytes(times.encode()) if times.get_total_count() else b""


def step(moment: float, window: Sequence[Second]) -> StepSummary:
    """Return the last seconds as a step of summary.json; `second` is the moment at which they end."""
    last = window[-1]
    length = sum(one.length for one in window)
    pages = sum(one.load.pages for one in window)
    cpu = combined("sum", [one.cpu_seconds for one in window])
    return {
        "second": round(moment, 1),
        "users": last.users,
        "rate": None,
        "knobs": {},
        "goodput": pages / length,
        "goodput_repeats": [pages / length],
        "response_time": all_percentiles(merged(one.load for one in window)),
        "first_byte": dict.fromkeys(PERCENTILES),
        "pages": pages,
        "failures": sum(one.load.failed for one in window),
        "seconds": length,
        "cpu_per_page": cpu / pages if cpu is not None and pages else None,
        "inside": {
            "pages_in_flight": combined("median", [one.pages_in_flight for one in window]),
            "calls_in_flight": combined("median", [one.calls_in_flight for one in window]),
            "cpu_seconds": cpu,
            "memory": last.memory,
            "loop_lag_p99": longest_lag(window),
        },
        "predicted": predicted_of(last.predicted),
    }


def added(lags: Iterable[Lags]) -> Lags:
    together: defaultdict[str, Counter[float]] = defaultdict(Counter)
    for lag in lags:
        for worker, counts in lag.items():
            together[worker].update(counts)
    return together


def longest_lag(window: Sequence[Second]) -> float | None:
    """Return the lag of the event loop that is latest, in seconds; None where there is none."""
    return max((lag_of(worker, window) for worker in window[-1].loop_lag), default=None)


def lag_of(worker: str, window: Sequence[Second]) -> float:
    """Return the lag of a worker's event loop, p99, or how long it has not come back, if that is more."""
    seen = [(one.length, one.loop_lag.get(worker, {})) for one in window]
    away = takewhile(lambda second: second[1] and not any(second[1].values()), reversed(seen))
    together = added(one.loop_lag for one in window)[worker]
    return max(p99_of(together) or 0.0, sum(length for length, _ in away))
