"""What is measured: one arm at one load level, and the pages that it leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from loadtests.model.experiment import Arm
from loadtests.model.load_level import LoadLevel
from loadtests.model.settings import Settings

FEWEST_PAGES = 3  # of a measurement
ENOUGH_PAGES = 20  # to tell CPU per page: the kernel counts CPU in steps of 10 ms
NO_ANSWER = "no answer"  # the beginning of every fault of a page whose answer did not come
UNANSWERED = f"{NO_ANSWER}: it had not come when the step had to end"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One arm held at one load level: `warm_up` seconds thrown away, then `window` seconds that count.

    `turn`: seconds after which users in lockstep do the same again, which is the time of a page that nothing holds up.
    `drain`: seconds that its pages are expected to need after the window to end.
    """

    arm: Arm
    level: LoadLevel
    settings: Settings
    repeat: int
    warm_up: float
    window: float
    turn: float
    drain: float = 0.0

    @property
    def seconds(self) -> float:
        return self.warm_up + self.window + self.drain

    def whole_turns(self, seconds: float) -> float:
        """Return `seconds` rounded up to whole turns; a window is closed a moment late."""
        return whole_turns(seconds - self.turn / 10, self.turn)

    def random(self, purpose: str = "") -> Random:
        """Return random numbers of this level and repeat: the same for each arm, so that all meet the same load."""
        return Random(f"{self.level.slug} {self.repeat}{purpose}")

    @property
    def words(self) -> str:
        """Return what a sentence calls it."""
        return f"{self.arm.words} at {self.level.name}" + (f", repeat {self.repeat + 1}" if self.repeat else "")

    @property
    def name(self) -> str:
        return f"{self.arm.name}-{self.level.slug}-{self.repeat + 1}"


def whole_turns(seconds: float, turn: float) -> float:
    """Return `seconds` rounded up to whole turns: otherwise users in lockstep end a page too many or too few."""
    return math.ceil(seconds / turn - 1e-9) * turn if turn else seconds


@dataclass(frozen=True, slots=True)
class GeneratorFigures:
    """One load generator in a window of so many `seconds`, which opened `apart` seconds after that of the first one.

    `cpu` in cores; `waited`: seconds that it waited for a core; `throttled` (held back by its CPU limit), `clock_step`
    (what the wall clock jumped) and `lateness` (p99 of arrivals, in an open loop) in seconds; `memory` in bytes, None
    where nothing limits it. `fault`: why what it measured is missing or not what was asked for.
    """

    cpu: float
    throttled: float | None = None
    memory: int | None = None
    clock_step: float = 0.0
    lateness: float | None = None
    waited: float | None = None
    seconds: float = 0.0
    apart: float = 0.0
    name: str = "the load generator"
    fault: str = ""


class Page(NamedTuple):
    """A page in the log of a measurement.

    `began` in seconds since the window was opened, negative before it; `took` in seconds; `fault`: why it is not whole;
    `name`: of a project's page.
    """

    began: float
    took: float
    fault: str | None
    name: str = ""

    @property
    def ended(self) -> float:
        return self.began + self.took
