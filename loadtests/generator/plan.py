"""An experiment → the ordered list of its measurements. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from loadtests.analysis.capacity import page_time
from loadtests.model.experiment import Arm, Experiment
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import FEWEST_PAGES, Measurement, whole_turns
from loadtests.model.prediction import Prediction
from loadtests.model.settings import Settings

TURNS_OF_FAILURES = 1.5  # pages that fail have no response time to be sure of, but each has to fail once
TURNS = 1.2  # a step lasts this many times the response time it is expected to produce


@dataclass(frozen=True, slots=True)
class Pace:
    """The shortest warm-up and the shortest window of a step, in seconds."""

    warm_up: float
    window: float


NORMAL = Pace(warm_up=0.75, window=4.0)
QUICK = Pace(warm_up=0.2, window=1.2)


Predict = Callable[[Arm, LoadLevel, Settings], Prediction]


def plan(experiment: Experiment, settings: Settings, predict: Predict, pace: Pace) -> list[Measurement]:
    """Return the measurements in alternating order (A B, B A, …), so that a drift affects all arms alike."""
    measurements = []
    forward = True
    for repeat in range(experiment.repeats):
        for level in experiment.levels:
            for arm in experiment.arms if forward else tuple(reversed(experiment.arms)):
                turned = settings.turned({**arm.knobs, **level.knobs})
                warm_up, window, drain = lengths(arm, level, predict(arm, level, turned), pace)
                turn = arm.takes or page_time(turned, arm.strategy)
                measurements.append(Measurement(arm, level, turned, repeat, warm_up, window, turn, drain))
            forward = not forward
    return measurements


def lengths(arm: Arm, level: LoadLevel, predicted: Prediction, pace: Pace) -> tuple[float, float, float]:
    """Return the seconds of warm-up, window and drain, long enough for what is expected.

    Users queue from the first moment on where a target is out of slots, so that after one page time each page meets
    as many as the next; pages that began in the window are followed to their end afterwards. A page that fails late
    has to fail within the window, or nobody would see it. Arrivals beyond what a target can serve queue for as long as
    they go on: there is nothing to wait for, but the queue has to drain afterwards.
    """
    unhurried = arm.takes or predicted.page_time
    expected = unhurried if level.is_open else arm.takes or predicted.response_time
    turns = TURNS_OF_FAILURES if arm.fails or predicted.failing == 1 else TURNS
    fails_after = predicted.failure_time or 0.0
    if arm.takes or math.isinf(fails_after):  # arrivals queue without an end
        fails_after = 0.0
    warm_up = pace.warm_up + max(unhurried, fails_after) + level.think
    window = max(pace.window, turns * expected, TURNS_OF_FAILURES * fails_after)
    if not level.is_open:  # a few users have to begin pages enough in it
        window = whole_turns(max(window, (FEWEST_PAGES + 1) * (expected + level.think) / level.amount), unhurried)
    drain = max(expected, fails_after)
    if level.is_open:
        drain += max(0.0, level.amount / predicted.ended - 1) * (warm_up + window)
    return warm_up, window, drain


def first_page_after(user: int, users: int, slots: int | None, page_time: float, random: Random) -> float:
    """Return the seconds that a user waits before its first page.

    At random within one page time, as far as there are slots: where the latency is constant users keep their distance
    for ever, so one that is chosen, all at once or evenly spread, would be the worst or the best for one side. Who
    would queue starts right behind them.
    """
    at_once = min(users, slots or users)
    return page_time * random.random() if user < at_once else page_time
