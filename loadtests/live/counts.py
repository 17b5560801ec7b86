"""Counts what users got, by target, from one second to the next; what workers counted is added to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.analysis.histograms import histogram
from loadtests.live.second import Load, encoded

MOST_REASONS = 20  # kinds of failure that are told apart in a second


class Counting:
    """One target, now."""

    def __init__(self) -> None:
        self.times = histogram()
        self.failures: Counter[str] = Counter()

    def take(self) -> Load:
        pages = self.times.get_total_count()
        load = Load(pages, dict(self.failures), encoded(self.times) if pages else b"")
        if pages:
            self.times = histogram()  # which is cheaper than to empty one
        self.failures.clear()
        return load


class PageCounts:
    def __init__(self, targets: Iterable[str]) -> None:
        self._counting = {name: Counting() for name in targets}
        self._reported = dict.fromkeys(self._counting, Load())

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
        reported, self._reported = self._reported, dict.fromkeys(self._counting, Load())
        return {name: counting.take() + reported[name] for name, counting in self._counting.items()}

    def pack(self) -> dict[str, Any]:
        """Return what was counted since the last time, as a worker sends it to its master."""
        return {name: [load.pages, dict(load.failures), load.times] for name, load in self.take().items()}

    def unpack(self, said: Mapping[str, Any]) -> None:
        for name, (pages, failures, times) in said.items():
            if name in self._reported:
                self._reported[name] += Load(pages, failures, times)
