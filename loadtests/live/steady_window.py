"""The steady window since something was last changed: what Save makes a report of. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from loadtests.analysis.machine import Moment
from loadtests.analysis.readings import Reading
from loadtests.errors import BadInput
from loadtests.generator.plan import NORMAL
from loadtests.live.requested import RequestedLoad
from loadtests.live.second import Second

LONGEST = 180  # seconds that a report looks back at the most
SHORTEST = 5.0  # seconds that a report needs, as in a step of `make loadtest`


@dataclass(frozen=True, slots=True)
class Tick:
    """All that is known of one second. `generator_cpu` in cores; `throttled` and `clock` (wall against steady) in
    seconds; `memory` in bytes, None where nothing limits it.
    """

    at: float  # UNIX time of its end
    length: float
    of: Mapping[str, Second]
    readings: Mapping[str, Reading | None]
    generator_cpu: float
    machine: Moment
    throttled: float | None = None
    clock: float = 0.0
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Steady:
    """What Save makes a report of. `edge`: the last tick of the warm-up, where the readings of the `window` begin."""

    requested: RequestedLoad
    warm_up: float
    edge: Tick
    window: Sequence[Tick]


class SteadyWindow:
    def __init__(self) -> None:
        self._ticks: deque[Tick] = deque(maxlen=LONGEST)
        self.seconds = 0.0  # since the last change
        self.draining = 0.0  # seconds from then on in which pages of before it still end
        self.requested: RequestedLoad | None = None

    def begin(self, requested: RequestedLoad, idle: float = 0.0) -> None:
        """Begin anew after a change, or after a start `idle` seconds after a stop.

        Pages of before end by themselves: under WSGI also those whose users have gone.
        """
        self.forget()
        self.draining = max(0.0, self.draining - idle)
        self.requested = requested

    def forget(self) -> None:
        """Leave nothing to save; pages that are under way end all the same."""
        self.draining = max(self._page_time, self.draining - self.seconds)
        self._ticks.clear()
        self.seconds = 0.0
        self.requested = None

    def add(self, tick: Tick) -> None:
        self._ticks.append(tick)
        self.seconds += tick.length

    @property
    def _page_time(self) -> float:
        """Return the seconds that theory expects a page of the slower target to take."""
        last = self._ticks[-1].of.values() if self._ticks else ()
        return max((one.predicted.response_time for one in last if one.predicted), default=0.0)

    @property
    def warm_up(self) -> float:
        """Return the seconds after a change until the pages that end belong to it."""
        return NORMAL.warm_up + max(self._page_time, self.draining)

    def steady(self) -> Steady:
        """Return what can be saved now, while the window goes on. Raises BadInput if nothing can."""
        if self.requested is None or len(self._ticks) < 2:
            raise BadInput("There is nothing to save yet: press Start.")
        if (missing := self.warm_up + SHORTEST - self.seconds) > 0:
            raise BadInput(f"Nothing steady to save yet: wait {math.ceil(missing)} s more.")
        every = list(self._ticks)
        lengths = [tick.length for tick in every]
        starts = accumulate(lengths, initial=self.seconds - sum(lengths))
        skipped = max(1, sum(start < self.warm_up for start in starts))
        return Steady(self.requested, self.warm_up, every[skipped - 1], every[skipped:])
