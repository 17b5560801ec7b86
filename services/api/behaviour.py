"""How one call of the api behaves: pure, and the same for the same seed and order of calls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from random import Random
from statistics import NormalDist

from services.bounds import OF_A_CALL, refuse_together

NORMAL = NormalDist()
Z99 = NORMAL.inv_cdf(0.99)  # standard deviations that the 99th percentile is above the median
STEPS = 2**53  # as fine as a float between 0 and 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one call: answered after `wait` seconds, or never."""

    wait: float
    fails: bool = False
    hangs: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`latency` and `jitter` in seconds, `fail` and `hang` as shares of all calls.

    With a `latency_p99`, in seconds, the wait is lognormal: `latency` is its median and that its 99th percentile. Such
    a wait has no jitter. `correlated` (1): the calls of one page wait equally long.
    """

    latency: float
    jitter: float
    fail: float
    hang: float
    latency_p99: float = 0.0
    correlated: float = 0

    def changed(self, texts: Mapping[str, str]) -> Behaviour:
        """Return this behaviour with the values that a query string gives.

        Raises OutOfBounds, also where two values do not go together.
        """
        found = replace(self, **{name: OF_A_CALL[name].parse(text) for name, text in texts.items()})
        refuse_together(found.latency, found.jitter, found.latency_p99)
        return found

    def outcome(self, random: Random, page: str = "") -> Outcome:
        """Return what happens to the next call, of this page if it has a name.

        Always three draws, so that turning one knob does not shift the others' random numbers.
        """
        place, fails, hangs = random.random(), random.random(), random.random()
        if self.correlated and page:
            place = place_of(page)
        return Outcome(wait=self.wait(place), fails=fails < self.fail, hangs=hangs < self.hang)

    def wait(self, place: float) -> float:
        """Return the seconds that a call waits which is slower than this share (from 0, below 1) of all calls."""
        if self.latency_p99:
            spread = math.log(self.latency_p99 / self.latency) / Z99
            return self.latency * math.exp(spread * NORMAL.inv_cdf(place or 1 / STEPS)) if spread else self.latency
        return self.latency + self.jitter * place


@lru_cache(maxsize=4096)
def place_of(page: str) -> float:
    """Return the share of all pages that this one is slower than: at random, and the same for all of its calls."""
    return int.from_bytes(blake2b(page.encode(), digest_size=8).digest(), "big") / 2**64
