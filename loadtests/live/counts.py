"""Counts what users got, by target, from one second to the next; what workers counted is added to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hdrh.histogram import HdrHistogram

from loadtests.analysis.histograms import histogram
from loadtests.live.second import Load, encoded

MOST_REASONS = 20  # kinds of failure that are told apart in a second


@dataclass(slots=True)
class Counting:
    """One target, now."""

    times: HdrHistogram = field(default_factory=histogram)
    failures: Counter[str] = field(default_factory=Counter)


class PageCounts:
    def __init__(self, targets: Iterable[str]) -> None:
        self._counting = {name: Counting() for name in targets}

    def page(self, name: str, response_time: float, exception: Any = None, **_: Any) -> None:
        """Count a request of Locust's: `name` is its row, as in 'wsgi: threadpool'; milliseconds."""
        counting = self._counting.get(name.partition(":")[0])
        if counting is None:
            return
        if exception is None:
            counting.times.record_value(max(1, round(response_time * 1000)))
        else:
            reason = str(exception)
            known = reason in counting.failures or len(counting.failures) < MOST_REASONS
            counting.failures[reason if known else "others"] += 1

    def take(self) -> dict[str, Load]:
        """Return what was counted since the last time."""
        taken, self._counting = self._counting, {name: Counting() for name in self._counting}
        return {
            name: Load(one.times.get_total_count(), dict(one.failures), encoded(one.times))
            for name, one in taken.items()
        }

    def pack(self) -> dict[str, Any]:
        """Return what was counted since the last time, as a worker sends it to its master."""
        return {name: [load.failures, load.times] for name, load in self.take().items()}

    def unpack(self, said: Mapping[str, Any]) -> None:
        """Add what a worker counted."""
        for name, (failures, times) in said.items():
            counting = self._counting[name]
            counting.failures.update(failures)
            if times:
                counting.times.decode_and_add(times)
