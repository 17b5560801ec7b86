"""What a step leaves: unrounded response times in HdrHistograms that can be merged, and its pages counted.

Histograms hold microseconds with three significant digits, from 1 µs to an hour.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

LONGEST = 3_600_000_000  # µs
DIGITS = 3


def histogram() -> HdrHistogram:
    return HdrHistogram(1, LONGEST, DIGITS)


@dataclass
class Recorder:
    """Counts what ends between `open` and `close`; anything else is warm-up and thrown away.

    `pages` and `failures` are counts, `ends` the seconds since `open` at which pages ended whole.
    """

    pages: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    ends: list[float] = field(default_factory=list)
    seconds: float = 0.0
    _opened_at: float | None = None
    _started: float = 0.0  # UNIX time of the window's start
    _intervals: dict[int, HdrHistogram] = field(default_factory=dict)

    def open(self) -> None:
        self._started = time.time()
        self._opened_at = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the window was opened."""
        return 0.0 if self._opened_at is None else time.perf_counter() - self._opened_at

    def close(self) -> None:
        self.seconds = self.elapsed
        self._opened_at = None

    def page(self, response_time: float, fault: str | None) -> None:
        """One answer: seconds it took, and why it is not a whole page."""
        if self._opened_at is None:
            return
        if fault is not None:
            self.failures[fault] += 1
            return
        end = time.perf_counter() - self._opened_at
        self.pages += 1
        self.ends.append(end)
        second = int(end)
        if (interval := self._intervals.get(second)) is None:  # dear to make: one a second, not one a page
            interval = self._intervals[second] = histogram()
        interval.record_value(max(1, round(response_time * 1e6)))

    @property
    def response_times(self) -> HdrHistogram:
        return merged(self._intervals.values())

    def write_log(self, path: Path) -> None:
        """An HdrHistogram interval log, one line per second; values in microseconds."""
        with path.open("w") as stream:
            log = HistogramLogWriter(stream)
            log.output_log_format_version()
            log.output_comment("response times of whole pages in microseconds, an interval per second")
            log.output_legend()
            for second, interval in sorted(self._intervals.items()):
                start = self._started + second
                log.output_interval_histogram(interval, start, start + 1, max_value_unit_ratio=1)


def merged(histograms: Iterable[HdrHistogram]) -> HdrHistogram:
    total = histogram()
    for one in histograms:
        total.add(one)
    return total
