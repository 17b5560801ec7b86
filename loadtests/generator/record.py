"""Record each page of a measurement, from its beginning to its end."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, takewhile

from hdrh.histogram import HdrHistogram

from loadtests.analysis.histograms import Interval, histogram, merged, microseconds
from loadtests.model.measurement import Page

EndedPage = tuple[float, float, str | None, str]  # began, ended, why it is not whole, and its name


@dataclass
class Recorder:
    """Keeps every page. What begins and ends outside the window from `open` to `close` is thrown away.

    Goodput counts whole pages by their end, since a target serves when it answers. Everything else counts a page by
    its beginning and follows it to its end, also beyond the window: a page that takes longer than a window lasts, or
    that never ends, would not exist otherwise.
    """

    first_bytes: HdrHistogram = field(default_factory=histogram)
    opened_at: float = math.inf  # moments of time.perf_counter()
    closed_at: float = math.inf
    started: float = 0.0  # UNIX time of the window's start
    pages: list[EndedPage] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)
    _under_way: dict[int, float] = field(default_factory=dict)  # when it began

    def open(self) -> None:
        self.started = time.time()
        self.opened_at = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Return the seconds since the window was opened, until it was closed."""
        return max(0.0, min(self.now, self.closed_at) - self.opened_at)

    @property
    def now(self) -> float:
        return time.perf_counter()

    def close(self) -> None:
        self.closed_at = time.perf_counter()

    def within(self, moment: float) -> bool:
        """Return whether a moment of time.perf_counter() is inside the window."""
        return self.opened_at <= moment < self.closed_at

    def begin(self, moment: float) -> int:
        """Note that a page was asked for, or should have been; the number by which `end` knows it."""
        number = next(self._numbers)
        self._under_way[number] = moment
        return number

    def end(self, number: int, fault: str | None, name: str = "") -> None:
        """Note the page's end, and why it is not whole. Nothing is noted twice."""
        if (began := self._under_way.pop(number, None)) is not None:
            self.pages.append((began, time.perf_counter(), fault, name))

    def give_up(self, fault: str) -> None:
        """End all that is under way."""
        for number in list(self._under_way):
            self.end(number, fault)

    def first_byte(self, seconds: float) -> None:
        """Record the first byte of a streamed page, which took so many seconds."""
        if self.within(time.perf_counter() - seconds):
            self.first_bytes.record_value(microseconds(seconds))

    @property
    def under_way(self) -> int:
        """Return how many pages have not ended."""
        return len(self._under_way)

    @property
    def out(self) -> int:
        """Return how many of these began before the window was closed."""
        return sum(began < self.closed_at for began in self._under_way.values())

    def latest(self, seconds: float) -> list[float]:
        """Return the seconds that each whole page took which ended in the last `seconds`."""
        since = self.now - seconds
        ended = takewhile(lambda page: page[1] >= since, reversed(self.pages))
        return [end - began for began, end, fault, _ in ended if fault is None]

    @property
    def ended(self) -> list[str | None]:
        """Return why each page that has ended is not whole, also in the warm-up and after the window."""
        return [fault for _, _, fault, _ in self.pages]

    @property
    def log(self) -> tuple[Page, ...]:
        """Return the pages that began or ended in the window, or lasted all through it, in the order of their ends."""
        return tuple(
            Page(began - self.opened_at, ended - began, fault, name)
            for began, ended, fault, name in self.pages
            if began < self.closed_at and ended >= self.opened_at
        )

    @property
    def ends(self) -> list[float]:
        """Return the seconds since `open` at which pages ended whole inside the window."""
        return [page.ended for page in self.log if page.fault is None and 0 <= page.ended < self.seconds]

    @property
    def response_times(self) -> HdrHistogram:
        return merged(interval for _, _, interval in self.intervals)

    @property
    def failure_times(self) -> HdrHistogram:
        return histogram(page.took for page in self.log if page.fault is not None)

    @property
    def failures(self) -> Counter[str]:
        """Count the failed pages of the window by reason, also those that began before it and failed inside."""
        return Counter(page.fault for page in self.log if page.fault is not None)

    @property
    def intervals(self) -> list[Interval]:
        """Return the response times of whole pages, by the second of the window in which they began."""
        seconds: defaultdict[int, HdrHistogram] = defaultdict(histogram)
        for page in self.log:
            if page.began >= 0 and page.fault is None:
                seconds[int(page.began)].record_value(microseconds(page.took))
        return [
            (self.started + second, self.started + second + 1, interval) for second, interval in sorted(seconds.items())
        ]
