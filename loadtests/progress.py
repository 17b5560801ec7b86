"""One line that says what is measured now and how long it all will take; plain lines where no terminal is."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadtests.plan import Measurement

TICK = 1.0  # seconds between two looks at the services
BAR = 24  # characters


class Progress:
    """`seconds` is the planned length of all steps; drains between them come on top."""

    def __init__(self, console: Console, seconds: float, steps: int) -> None:
        self._console = console
        self._planned = seconds
        self._steps = steps
        self._done = 0.0
        self._number = 0
        self._step: Measurement | None = None
        self._live = Live(console=console, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def begin(self, step: Measurement) -> None:
        self._step = step
        self._number += 1
        if not self._console.is_terminal:
            self._console.print(f"{self._headline()}; {clock(self._planned - self._done)} left")

    def wait(self, seconds: float, pause: Callable[[float], None], status: Callable[[], str]) -> None:
        """Let `seconds` pass, saying each second what `status` says."""
        begun, done_before = time.monotonic(), self._done
        while (passed := time.monotonic() - begun) < seconds:
            self._done = done_before + passed
            self.say(status())
            pause(min(TICK, seconds - (time.monotonic() - begun)))
        self._done = done_before + seconds

    def say(self, what: str) -> None:
        if not self._console.is_terminal:
            return
        share = self._done / self._planned if self._planned else 1.0
        bar = "━" * round(BAR * share)
        line = Text.assemble(
            (bar, "green"),
            ("━" * (BAR - len(bar)), "dim"),
            f" {clock(self._planned - self._done)} left · {self._headline()} · {what}",
        )
        line.truncate(self._console.width, overflow="ellipsis")
        self._live.update(line, refresh=True)

    def _headline(self) -> str:
        if self._step is None:
            return "starting"
        arm = self._step.arm
        return f"{self._number}/{self._steps} {arm.target} {arm.strategy}, {self._step.step.name}"


def clock(seconds: float) -> str:
    """65 → '1:05'."""
    return f"{max(0, round(seconds)) // 60}:{max(0, round(seconds)) % 60:02d}"
