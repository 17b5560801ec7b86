"""An experiment → the ordered list of its measurements. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from loadtests.analysis.capacity import Prediction, page_time
from loadtests.experiments import Arm, Experiment
from loadtests.knobs import Settings
from loadtests.step import Step

TURNS_OF_FAILURES = 1.5  # pages that fail have no response time to be sure of, but each has to fail once
FEWEST_PAGES = 3  # that a measurement needs
TURNS = 1.2  # a step lasts this many times the response time it is expected to produce


@dataclass(frozen=True, slots=True)
class Pace:
    """The shortest warm-up and the shortest window of a step, in seconds."""

    warm_up: float
    window: float


NORMAL = Pace(warm_up=1.0, window=4.0)
QUICK = Pace(warm_up=0.2, window=1.2)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One arm held at one step: `warm_up` seconds thrown away, then `window` seconds that count.

    `drain`: seconds that its pages are expected to need after it to end.
    """

    arm: Arm
    step: Step
    settings: Settings
    repeat: int
    warm_up: float
    window: float
    drain: float = 0.0

    @property
    def seconds(self) -> float:
        return self.warm_up + self.window + self.drain

    @property
    def turn(self) -> float:
        """Seconds after which users in lockstep do the same again: a page that nothing holds up."""
        return self.arm.takes or page_time(self.settings, self.arm.strategy)

    def whole_turns(self, seconds: float) -> float:
        """Return `seconds` rounded up to whole turns, of a window that is closed a moment late."""
        return whole_turns(seconds - self.turn / 10, self.turn)

    def random(self) -> Random:
        """Random numbers of this step and repeat: the same for each arm, so that all of them meet the same load."""
        return Random(f"{self.step.slug} {self.repeat}")

    @property
    def name(self) -> str:
        return f"{self.arm.name}-{self.step.slug}-{self.repeat + 1}"


Predict = Callable[[Arm, Step, Settings], Prediction]


def plan(experiment: Experiment, settings: Settings, repeats: int, predict: Predict, pace: Pace) -> list[Measurement]:
    """One arm at a time, in alternating order (A B, B A, …), so that a drift hits both alike. Raises BadInput."""
    measurements = []
    forward = True
    for repeat in range(repeats):
        for step in experiment.steps:
            for arm in experiment.arms if forward else tuple(reversed(experiment.arms)):
                turned = settings.turned({**arm.knobs, **step.knobs})
                warm_up, window, drain = lengths(arm, step, predict(arm, step, turned), pace)
                measurements.append(Measurement(arm, step, turned, repeat, warm_up, window, drain))
            forward = not forward
    return measurements


def lengths(arm: Arm, step: Step, predicted: Prediction, pace: Pace) -> tuple[float, float, float]:
    """Seconds of warm-up, window and drain, long enough for what is expected.

    Users queue from the first moment on where a target is out of slots, so that after one page time each page meets
    as many as the next; pages that began in the window are followed to their end afterwards. A page that fails late
    has to fail within the window, or nobody would see it. Arrivals beyond what a target can serve queue for as long as
    they go on: there is nothing to wait for, but the queue has to drain afterwards.
    """
    unhurried = arm.takes or predicted.page_time
    expected = unhurried if step.is_open else arm.takes or predicted.response_time
    turns = TURNS_OF_FAILURES if arm.fails or predicted.failing == 1 else TURNS
    fails_after = 0.0 if arm.takes else predicted.failure_time or 0.0
    if math.isinf(fails_after):  # arrivals queue without an end
        fails_after = 0.0
    warm_up = pace.warm_up + max(unhurried, fails_after) + step.think
    window = max(pace.window, turns * expected, TURNS_OF_FAILURES * fails_after)
    if not step.is_open:  # a few users have to begin pages enough in it
        window = whole_turns(max(window, (FEWEST_PAGES + 1) * (expected + step.think) / step.amount), unhurried)
    drain = max(expected, fails_after)
    if step.is_open:
        drain = max(expected, fails_after) + max(0.0, step.amount / predicted.ended - 1) * (warm_up + window)
    return warm_up, window, drain


def whole_turns(seconds: float, turn: float) -> float:
    """Return `seconds` rounded up to whole turns: otherwise users in lockstep end a page too many or too few."""
    return math.ceil(seconds / turn - 1e-9) * turn if turn else seconds


def first_page_after(user: int, users: int, slots: int | None, page_time: float, random: Random) -> float:
    """Seconds that a user waits before its first page.

    At random within one page time, as far as there are slots: where the latency is constant users keep their distance
    for ever, so one that is chosen, all at once or evenly spread, would be the worst or the best for one side. Who
    would queue starts right behind them.
    """
    at_once = min(users, slots or users)
    return page_time * random.random() if user < at_once else page_time
