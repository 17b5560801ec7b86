"""A table that fills while a run measures, and how long it all will take; a line for each step where no terminal is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from loadtests.analysis.statistics import ENOUGH
from loadtests.model.measurement import Measurement
from loadtests.model.units import UNKNOWN, digits, duration
from loadtests.report.terminal import Column, Table, goodput, named

TICK = 1.0  # seconds between two looks at the services
RECENT = 5.0  # seconds of which the current response times are
BAR = 24  # characters, of a line that has room for them
ROOM = 4  # times the bar's width that a line has
AROUND = 3  # lines of a terminal that the table leaves to its heading and to the line below
LEVELS = "▁▂▃▄▅▆▇█"
SPARKS = 12  # seconds
COLUMNS = (
    Column("arm"),
    Column("load", right=True),
    Column("pages/s", right=True),
    Column("predicted", right=True, optional=2),
    Column("p50", right=True, optional=3),
    Column("p95", right=True),
    Column("each second", optional=1),
)


@dataclass(eq=False)
class Row:
    """An arm at a load level. `goodputs`: of each repeat that has ended; `seconds`: pages/s of each second so far."""

    arm: Text
    level: str
    predicted: float | None
    goodputs: list[float] = field(default_factory=list)
    times: Mapping[str, float | None] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def cells(self, *, current: bool) -> list[Text | str]:
        pages_per_second: Text | str = ""
        if current and self.seconds:
            pages_per_second = digits(self.seconds[-1])
        elif self.goodputs:
            pages_per_second = goodput(digits(median(self.goodputs)), median(self.goodputs), self.predicted)
        return [
            Text.assemble("▸ " if current else "  ", self.arm),
            self.level,
            pages_per_second,
            UNKNOWN if self.predicted is None else digits(self.predicted),
            *(duration(self.times[name]) if self.times else "" for name in ("p50", "p95")),
            sparkline(self.seconds[-SPARKS:]),
        ]


def sparkline(values: Sequence[float]) -> str:
    """Return a character for each value, as high as its share of the highest."""
    highest = max(values, default=0.0) or 1.0
    return "".join(LEVELS[round(value / highest * (len(LEVELS) - 1))] for value in values)


class Progress:
    """`planned`: the steps in their order. A step that takes longer than planned makes the plan longer.

    `interfaces` by target, and `predicted` goodput by the measurement's name.
    """

    def __init__(
        self,
        console: Console,
        planned: Sequence[Measurement],
        interfaces: Mapping[str, str],
        predicted: Mapping[str, float],
    ) -> None:
        self._console = console
        self._moves = console.is_terminal and not console.is_dumb_terminal  # a dumb one cannot write over a line
        self._lengths = [measurement.seconds for measurement in planned]  # of a step that has ended: what it took
        self._rows = {
            (one.arm, one.level): Row(
                named(one.arm.words, interfaces[one.arm.target]), one.level.name, predicted.get(one.name)
            )
            for one in planned
        }
        self._number = 0
        self._begun = time.monotonic()
        self._measurement: Measurement | None = None
        self._latest: Callable[[float], list[float]] = lambda _: []
        self._lengthened = 0.0
        self._live = Live(console=console, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        if self._moves:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._moves:
            self._live.stop()

    def begin(self, measurement: Measurement, latest: Callable[[float], list[float]]) -> None:
        """Begin the next step. `latest`: what the whole pages of the last seconds took, in seconds."""
        if self._number:
            self._lengths[self._number - 1] = self._elapsed
        self._measurement, self._latest, self._lengthened = measurement, latest, 0.0
        self._begun = time.monotonic()
        self._number += 1
        self._row.seconds.clear()

    def lengthen(self, seconds: float) -> None:
        """Plan `seconds` more for the current step."""
        self._lengths[self._number - 1] += seconds
        self._lengthened += seconds

    def ended(self, goodput: float, times: Mapping[str, float | None]) -> None:
        """Keep what the step measured, in pages/s and in seconds by percentile. Print it where nothing moves."""
        self._lengths[self._number - 1] = self._elapsed
        self._row.goodputs.append(goodput)
        self._row.times = times
        if not self._moves:
            middle = f"median {duration(times['p50'])}"
            self._console.print(f"{self._headline()}: {digits(goodput)} pages/s, {middle}; {clock(self.left)} left")

    @property
    def left(self) -> float:
        """Return the seconds until the last step has ended; a step that is late counts as about to end."""
        if not self._number:
            return sum(self._lengths)
        here = self._lengths[self._number - 1] - self._elapsed
        return max(0.0, here) + sum(self._lengths[self._number :])

    @property
    def share(self) -> float:
        """Return what has been done of the whole run, from 0 to 1."""
        done = sum(self._lengths[: self._number - 1]) + self._elapsed if self._number else 0.0
        return done / (done + self.left) if done else 0.0

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    @property
    def _row(self) -> Row:
        assert self._measurement is not None, "a step has begun"  # noqa: S101
        return self._rows[self._measurement.arm, self._measurement.level]

    def wait(self, seconds: float, pause: Callable[[float], None], status: Callable[[], str]) -> None:
        """Let `seconds` pass, saying each second what `status` says, and what was measured in it."""
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            self.say(status())
            pause(min(TICK, seconds - passed))
            if self._moves:
                self._row.seconds.append(len(self._latest(TICK)) / TICK)
                self._row.times = recent(self._latest(RECENT))

    def say(self, what: str) -> None:
        if self._moves:
            self._live.update(Group(self.table(self._console.height - AROUND), self.line(what)), refresh=True)

    def table(self, lines: int) -> Table:
        """Return the rows, at most `lines` of them: the current one, those before it and those to come."""
        current = None if self._measurement is None else self._row
        rows = list(self._rows.values())
        room = max(1, lines)
        here = rows.index(current) if current else 0
        first = max(0, min(here - room // 2, len(rows) - room))
        shown = rows[first : first + room]
        return Table(COLUMNS, [row.cells(current=row is current) for row in shown])

    def line(self, what: str) -> Text:
        """Return what a terminal shows below the table, no longer than it is wide."""
        width = min(BAR, self._console.width // ROOM)
        bar = "━" * round(width * self.share)
        longer = f", {self._lengthened:.0f} s more than planned" if self._lengthened >= TICK else ""
        said = " · ".join((f" {clock(self.left)} left{longer}", self._headline(), what))
        line = Text.assemble((bar, "green"), ("━" * (width - len(bar)), "dim"), said)
        line.truncate(self._console.width, overflow="ellipsis")
        return line

    def _headline(self) -> str:
        if self._measurement is None:
            return "starting"
        arm = self._measurement.arm
        return f"{self._number}/{len(self._lengths)} {arm.words}, {self._measurement.level.name}"


def recent(times: Sequence[float]) -> dict[str, float | None]:
    """Return the median of some pages, and the 95th percentile where there are pages enough, in seconds."""
    return {
        "p50": median(times) if times else None,
        "p95": quantiles(times, n=20)[-1] if len(times) >= ENOUGH["p95"] else None,
    }


def clock(seconds: float) -> str:
    """Return seconds as minutes and seconds: 65 is '1:05'."""
    return f"{max(0, round(seconds)) // 60}:{max(0, round(seconds)) % 60:02d}"
