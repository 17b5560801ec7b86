"""How large a difference has to be before it means anything. Pure; shares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from statistics import median

# What two runs of the same arm differ by on a shared machine; `make loadtest EXPERIMENT=noise` measures yours, which
# then stands in its place.
FLOOR = 0.05


def relative(first: float, second: float) -> float:
    """The difference as a share of the smaller; infinite where one of them is nothing."""
    low, high = sorted((first, second))
    if low == high:
        return 0.0
    return (high - low) / low if low else float("inf")


def floor(first: Sequence[float], second: Sequence[float]) -> float:
    """The largest difference between any two repeats of what is the same thing."""
    return max((relative(a, b) for a, b in product((*first, *second), repeat=2)), default=0.0)


def at_least(measured: float | None) -> float:
    """The floor of this machine: what was measured, as far as it is more than FLOOR."""
    return max(FLOOR, measured or 0.0)


def no_difference(first: Sequence[float], second: Sequence[float], floor: float = FLOOR) -> bool:
    """Whether the medians differ by less than the floor, or the repeats' ranges overlap."""
    if relative(median(first), median(second)) <= floor:
        return True
    several = len(first) > 1 and len(second) > 1
    return several and min(first) <= max(second) and min(second) <= max(first)
