"""A level of load that is held for a while. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """`users` who each wait for their page before they ask for the next (a closed loop), or `rate`, the pages/s that
    arrive whether or not the target keeps up (an open one). One of the two."""

    users: int | None = None
    rate: float | None = None

    @property
    def is_open(self) -> bool:
        return self.rate is not None

    @property
    def amount(self) -> float:
        """Users, or pages/s."""
        return float(self.users or self.rate or 0)

    @property
    def name(self) -> str:
        if self.is_open:
            return f"{self.rate:g} pages/s"
        return f"{self.users} user{'' if self.users == 1 else 's'}"

    @property
    def variable(self) -> str:
        """That asks for other steps of its kind."""
        return "RATE" if self.is_open else "USERS"

    @property
    def slug(self) -> str:
        """For the name of a file."""
        return f"{self.rate:g}-per-second" if self.is_open else f"{self.users}-users"

    def __lt__(self, other: Step) -> bool:
        return (self.is_open, self.amount) < (other.is_open, other.amount)


def users(*numbers: int) -> tuple[Step, ...]:
    return tuple(Step(users=number) for number in numbers)


def rates(*pages_per_second: float) -> tuple[Step, ...]:
    return tuple(Step(rate=rate) for rate in pages_per_second)


def amounts(steps: Sequence[Step]) -> str:
    """As USERS= and RATE= take them."""
    return ",".join(f"{step.amount:g}" for step in steps)
