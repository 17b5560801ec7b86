"""The run so far, second by second, in bounded memory. Pure.

Beyond the limit each new second merges the two shortest neighbours into one: the last minutes stay whole, and what lies
further back is told in longer steps, all about as long. Merged are histograms and counts, never percentiles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from loadtests.live.second import WINDOW, Second, step
from loadtests.model.summary import StepSummary

LIMIT = 1800  # samples: half an hour of whole seconds
RECENT = 180  # samples that are not merged, as far as that leaves enough that can be
MOST_MARKS = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """Every target at one moment, `second` seconds of load after the start. `steps`: what the plots draw."""

    number: int
    second: float
    length: float
    of: Mapping[str, Second]
    steps: Mapping[str, StepSummary]


class History:
    def __init__(self, limit: int = LIMIT) -> None:
        self.samples: list[Sample] = []
        self.marks: deque[tuple[float, str]] = deque(maxlen=MOST_MARKS)  # when, and what a person changed
        self.second = 0.0
        self._limit = limit
        self.number = 0  # of the newest sample

    def append(self, length: float, of: Mapping[str, Second]) -> Sample:
        self.second += length
        self.number += 1
        sample = sample_of(self.number, self.second, length, of, self.samples)
        self.samples.append(sample)
        if len(self.samples) > self._limit:
            self._merge_two()
        return sample

    def since(self, number: int) -> list[Sample]:
        """Return the samples after this number; merged ones have the number of the later."""
        return [sample for sample in self.samples if sample.number > number]

    def _merge_two(self) -> None:
        old = len(self.samples) - min(RECENT, self._limit // 2)
        lengths = [sample.length for sample in self.samples[:old]]
        both = [one + other for one, other in pairwise(lengths)]
        at = both.index(min(both))
        first, later = self.samples[at : at + 2]
        of = {name: one.then(later.of[name]) for name, one in first.of.items()}
        before = self.samples[max(0, at - round(WINDOW)) : at]
        self.samples[at : at + 2] = [sample_of(later.number, later.second, both[at], of, before)]


def sample_of(number: int, second: float, length: float, of: Mapping[str, Second], before: Sequence[Sample]) -> Sample:
    steps = {name: step(second, window(name, one, before)) for name, one in of.items()}
    return Sample(number, second, length, of, steps)


def window(name: str, last: Second, before: Sequence[Sample]) -> list[Second]:
    """Return the target's seconds that a figure looks back at, including `last`."""
    found = [last]
    length = last.length
    for sample in reversed(before):
        if length > WINDOW - 0.5:
            break
        found.append(sample.of[name])
        length += found[-1].length
    return found[::-1]
