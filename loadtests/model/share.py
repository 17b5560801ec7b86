"""What one of several load generators does of a load. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Share:
    """The part of load generator `index`, counted from 0, `of` so many."""

    index: int = 0
    of: int = 1

    def number(self, users: int) -> int:
        """Return how many of the users are this generator's: all generators have as many, or one less."""
        return len(range(self.index, users, self.of))

    def dealt(self, values: Iterator[T]) -> Iterator[T]:
        """Yield those of the values, one for each user of all generators, that are for this generator's users."""
        return islice(values, self.index, None, self.of)

    def thinned(self, moments: Iterator[float], random: Random) -> Iterator[float]:
        """Yield the arrivals that this generator sends: each is one generator's, at random.

        With the same `moments` and `random` in all of them they send together what one alone would. Random arrivals
        (Poisson) stay random, for each and together (thinning; Kingman, Poisson Processes, 1993, section 5.1).
        """
        return moments if self.of == 1 else (moment for moment in moments if random.randrange(self.of) == self.index)


ALONE = Share()
