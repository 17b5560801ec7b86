"""What a step leaves: unrounded response times in HdrHistograms that can be merged, and its pages counted.

Histograms hold microseconds with three significant digits, from 1 µs to an hour.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

LONGEST = 3_600_000_000  # µs
DIGITS = 3

Interval = tuple[float, float, HdrHistogram]  # UNIX time of its start and its end, and what ended in between


def histogram() -> HdrHistogram:
    return HdrHistogram(1, LONGEST, DIGITS)


def microseconds(seconds: float) -> int:
    """As a histogram counts them."""
    return max(1, round(seconds * 1e6))


@dataclass
class Recorder:
    """Counts what happens between `open` and `close`; anything else is warm-up and thrown away.

    In a closed loop a page counts by its end; in an open one by its arrival, so that a page that arrived in time and
    ends after the window counts with all that it waited. `pages` and `failures` are counts, `ends` the seconds since
    `open` at which pages ended whole inside the window.
    """

    pages: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    ends: list[float] = field(default_factory=list)
    first_bytes: HdrHistogram = field(default_factory=histogram)
    failure_times: HdrHistogram = field(default_factory=histogram)
    _opened_at: float = math.inf
    _closed_at: float = math.inf
    _started: float = 0.0  # UNIX time of the window's start
    _intervals: dict[int, HdrHistogram] = field(default_factory=dict)

    def open(self) -> None:
        self._started = time.time()
        self._opened_at = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the window was opened, until it was closed."""
        return max(0.0, min(time.perf_counter(), self._closed_at) - self._opened_at)

    def close(self) -> None:
        self._closed_at = time.perf_counter()

    def within(self, moment: float) -> bool:
        """Whether a moment of time.perf_counter() is inside the window."""
        return self._opened_at <= moment < self._closed_at

    def first_byte(self, seconds: float) -> None:
        """Of a page that is streamed."""
        if self.within(time.perf_counter()):
            self.first_bytes.record_value(microseconds(seconds))

    def page(self, response_time: float, fault: str | None) -> None:
        """One answer in a closed loop: seconds it took, and why it is not a whole page."""
        now = time.perf_counter()
        if self.within(now):
            self._end(now, fault)
            self._count(response_time, now, fault)

    def arrival(self, arrived: float, fault: str | None) -> None:
        """One answer in an open loop; `arrived` is when the page should have been asked for."""
        now = time.perf_counter()
        if self.within(now):
            self._end(now, fault)
        if self.within(arrived):
            self._count(now - arrived, arrived, fault)

    def _end(self, now: float, fault: str | None) -> None:
        if fault is None:
            self.ends.append(now - self._opened_at)

    def _count(self, response_time: float, moment: float, fault: str | None) -> None:
        if fault is not None:
            self.failures[fault] += 1
            self.failure_times.record_value(microseconds(response_time))
            return
        self.pages += 1
        second = int(moment - self._opened_at)
        if (interval := self._intervals.get(second)) is None:  # dear to make: one a second, not one a page
            interval = self._intervals[second] = histogram()
        interval.record_value(microseconds(response_time))

    @property
    def response_times(self) -> HdrHistogram:
        return merged(self._intervals.values())

    @property
    def intervals(self) -> list[Interval]:
        """The response times of each second of the window."""
        return [
            (self._started + second, self._started + second + 1, interval)
            for second, interval in sorted(self._intervals.items())
        ]


def interval_log(intervals: Iterable[Interval]) -> str:
    """An HdrHistogram interval log; values in microseconds."""
    stream = StringIO()
    log = HistogramLogWriter(stream)
    log.output_log_format_version()
    log.output_comment("response times of whole pages in microseconds, an interval per second")
    log.output_legend()
    for start, end, interval in intervals:
        log.output_interval_histogram(interval, start, end, max_value_unit_ratio=1)
    return stream.getvalue()


def merged(histograms: Iterable[HdrHistogram]) -> HdrHistogram:
    total = histogram()
    for one in histograms:
        total.add(one)
    return total
