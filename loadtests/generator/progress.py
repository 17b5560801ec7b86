"""One line that says what is measured now and how long it all will take; plain lines where no terminal is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadtests.model.measurement import Measurement

TICK = 1.0  # seconds between two looks at the services
BAR = 24  # characters, of a line that has room for them
ROOM = 4  # times the bar's width that a line has


class Progress:
    """`planned`: the steps in their order. A step that takes longer than planned makes the plan longer."""

    def __init__(self, console: Console, planned: Sequence[Measurement]) -> None:
        self._console = console
        self._moves = console.is_terminal and not console.is_dumb_terminal  # a dumb one cannot write over a line
        self._lengths = [measurement.seconds for measurement in planned]  # of a step that has ended: what it took
        self._number = 0
        self._begun = time.monotonic()
        self._measurement: Measurement | None = None
        self._lengthened = 0.0
        self._live = Live(console=console, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        if self._moves:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._moves:
            self._live.stop()

    def begin(self, measurement: Measurement) -> None:
        now = time.monotonic()
        if self._number:
            self._lengths[self._number - 1] = now - self._begun
        self._measurement, self._begun, self._lengthened = measurement, now, 0.0
        self._number += 1
        if not self._moves:
            self._console.print(f"{self._headline()}; {clock(self.left)} left")

    def lengthen(self, seconds: float) -> None:
        """Plan `seconds` more for the current step. Print it in a pipe, once per step."""
        self._lengths[self._number - 1] += seconds
        if not self._moves and not self._lengthened and seconds >= TICK:
            why = "extended: pages take longer than planned, or figures are still uncertain"
            self._console.print(f"    {why}; {clock(self.left)} left")
        self._lengthened += seconds

    def ended(self, figures: str) -> None:
        """Say what the step measured: in a line that stays, above the one that moves."""
        self._console.print(f"{self._headline()}: {figures}" if self._moves else f"    {figures}")

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

    def wait(self, seconds: float, pause: Callable[[float], None], status: Callable[[], str]) -> None:
        """Let `seconds` pass, saying each second what `status` says."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            self.say(status())
            pause(min(TICK, seconds - (time.monotonic() - begun)))

    def say(self, what: str) -> None:
        if self._moves:
            self._live.update(self.line(what), refresh=True)

    def line(self, what: str) -> Text:
        """Return what a terminal shows, no longer than it is wide."""
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


def clock(seconds: float) -> str:
    """Return seconds as minutes and seconds: 65 is '1:05'."""
    return f"{max(0, round(seconds)) // 60}:{max(0, round(seconds)) % 60:02d}"
