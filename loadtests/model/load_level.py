"""A level of load that is held for a while. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

PATIENCE = 1200.0  # seconds; longer than the slowest page, so that the target decides and not the user
PAUSE_AFTER_FAILURE = 0.5  # seconds; a target that fails at once must not be asked as fast as it fails


@dataclass(frozen=True, slots=True)
class LoadLevel:
    """`users` who each wait for their page before they ask for the next (a closed loop), or `rate`, the pages/s that
    arrive whether or not the target keeps up (an open one). One of the two.

    `think`: seconds that a user thinks after a page, on average (exponential). `arrivals`: their shape, a name of
    arrivals.py. `knobs`: what is turned besides, where an experiment sweeps something else than load.
    """

    users: int | None = None
    rate: float | None = None
    think: float = 0.0
    arrivals: str = "poisson"
    knobs: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def is_open(self) -> bool:
        return self.rate is not None

    @property
    def amount(self) -> float:
        """Return the number of users, or of pages/s."""
        return float(self.users or self.rate or 0)

    @property
    def name(self) -> str:
        if self.is_open:
            load = f"{self.rate:g} pages/s" + ("" if self.arrivals == "poisson" else f" ({self.arrivals})")
        else:
            one = self.users == 1
            load = f"{self.users} user{'' if one else 's'}"
            load += f" who think{'s' if one else ''} {self.think:g} s" if self.think else ""
        return ", ".join([load, *(f"{name.replace('_', ' ')} {value:g}" for name, value in self.knobs.items())])

    @property
    def variable(self) -> str:
        """Return the variable that asks for other levels of its kind."""
        return "RATE" if self.is_open else "USERS"

    @property
    def slug(self) -> str:
        """Return a name for files."""
        load = f"{self.rate:g}-per-second" if self.is_open else f"{self.users}-users"
        load += f"-{self.arrivals}" if self.is_open and self.arrivals != "poisson" else ""
        load += f"-think-{self.think:g}" if self.think else ""
        return "-".join([load, *(f"{name.replace('_', '-')}-{value:g}" for name, value in self.knobs.items())])

    @property
    def _order(self) -> tuple[bool, float, float, str, tuple[float, ...]]:
        return self.is_open, self.amount, self.think, self.arrivals, tuple(self.knobs.values())

    def __lt__(self, other: LoadLevel) -> bool:
        return self._order < other._order


def users(*numbers: int) -> tuple[LoadLevel, ...]:
    return tuple(LoadLevel(users=number) for number in numbers)


def turned(number: int, knob: str, *values: float) -> tuple[LoadLevel, ...]:
    """Return the same users at each value of a knob."""
    return tuple(LoadLevel(users=number, knobs={knob: value}) for value in values)


def rates(*pages_per_second: float) -> tuple[LoadLevel, ...]:
    return tuple(LoadLevel(rate=rate) for rate in pages_per_second)


def shaped(steps: Sequence[LoadLevel], think: float | None, arrivals: str) -> tuple[LoadLevel, ...]:
    """Return the same levels, with users who think and arrivals of this shape if they are asked for."""
    return tuple(
        replace(step, arrivals=arrivals or step.arrivals)
        if step.is_open
        else replace(step, think=step.think if think is None else think)
        for step in steps
    )


def amounts(steps: Sequence[LoadLevel]) -> str:
    """Return the levels as USERS= and RATE= take them."""
    return ",".join(f"{step.amount:g}" for step in steps)
