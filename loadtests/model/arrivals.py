"""When pages arrive in an open loop. Pure, and the same for the same random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, count, repeat, starmap
from random import Random

BURST = 1.0  # seconds that a burst lasts, and the silence after it, on average


def even(rate: float, random: Random) -> Iterator[float]:
    """Yield moments at equal intervals, which hide the queue that chance makes below a target's limit."""
    return (number / rate for number in count())


def poisson(rate: float, random: Random) -> Iterator[float]:
    """Yield moments that are independent of each other, as those of many people are."""
    return accumulate(starmap(random.expovariate, repeat((rate,))))


def bursty(rate: float, random: Random) -> Iterator[float]:
    """Yield bursts of twice the rate with silence between them: an interrupted Poisson process (A. Kuczura, 1973)."""
    begun = 0.0
    while True:
        end = begun + random.expovariate(1 / BURST)
        for moment in poisson(2 * rate, random):
            if begun + moment >= end:
                break
            yield begun + moment
        begun = end + random.expovariate(1 / BURST)


SHAPES: Mapping[str, Callable[[float, Random], Iterator[float]]] = {"poisson": poisson, "even": even, "bursty": bursty}
