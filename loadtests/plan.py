"""An experiment → the ordered list of its measurements. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtests.experiments import Arm

TURNS = 3.2  # a step lasts this many times the response time it is expected to produce


@dataclass(frozen=True, slots=True)
class Pace:
    """The shortest warm-up and the shortest window of a step, in seconds."""

    warm_up: float
    window: float


NORMAL = Pace(warm_up=1.5, window=5.0)
QUICK = Pace(warm_up=0.4, window=1.5)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One arm held at one step: `warm_up` seconds thrown away, then `window` seconds that count."""

    arm: Arm
    users: int
    repeat: int
    warm_up: float
    window: float

    @property
    def seconds(self) -> float:
        return self.warm_up + self.window

    @property
    def name(self) -> str:
        return f"{self.arm.name}-{self.users}-users-{self.repeat + 1}"


ResponseTime = Callable[[Arm, int], float]


def plan(
    arms: Sequence[Arm], users: Sequence[int], repeats: int, response_time: ResponseTime, pace: Pace
) -> list[Measurement]:
    """One arm at a time, in alternating order (A B, B A, …), so that a drift hits both alike.

    `response_time(arm, users)` is the expected one, in seconds: the warm-up is long enough to fill the
    queue of a target that is out of slots, and the window for that queue to turn over three times.
    """
    measurements = []
    forward = True
    for repeat in range(repeats):
        for step in users:
            for arm in arms if forward else tuple(reversed(arms)):
                expected = response_time(arm, step)
                measurements.append(
                    Measurement(
                        arm,
                        step,
                        repeat,
                        warm_up=pace.warm_up + expected,
                        window=max(pace.window, TURNS * expected),
                    )
                )
            forward = not forward
    return measurements


def first_page_after(user: int, users: int, slots: int | None, page_time: float) -> float:
    """Seconds that a user waits before its first page.

    Spread evenly over one page time, as far as there are slots, so that pages do not end in bursts
    and a window's count does not depend on where its edges fall. Who would queue starts right away
    behind them.
    """
    at_once = min(users, slots or users)
    return page_time * min(user, at_once) / at_once
