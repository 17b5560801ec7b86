"""How one call of the api behaves: pure, and the same for the same seed and order of calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from services.bounds import FAIL, HANG, JITTER, LATENCY, Bound

BOUNDS: Mapping[str, Bound] = {bound.name: bound for bound in (LATENCY, JITTER, FAIL, HANG)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one call: answered after `wait` seconds, or never."""

    wait: float
    fails: bool = False
    hangs: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`latency` and `jitter` in seconds, `fail` and `hang` as shares of all calls."""

    latency: float
    jitter: float
    fail: float
    hang: float

    def changed(self, texts: Mapping[str, str]) -> Behaviour:
        """This behaviour with the values that a query string gives. Raises OutOfBounds."""
        return replace(self, **{name: BOUNDS[name].parse(text) for name, text in texts.items()})

    def outcome(self, random: Random) -> Outcome:
        """The fate of the next call.

        Always three draws, so that turning one knob does not shift the others' random numbers.
        """
        extra, fails, hangs = random.random(), random.random(), random.random()
        return Outcome(
            wait=self.latency + self.jitter * extra,
            fails=fails < self.fail,
            hangs=hangs < self.hang,
        )
