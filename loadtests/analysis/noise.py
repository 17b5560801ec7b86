"""How large a difference has to be before it means anything. Pure; shares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from statistics import median

# What two runs of the same arm differ by on a shared machine; `make loadtest EXPERIMENT=noise` measures yours, which
# then stands in its place.
FLOOR = 0.05
ENOUGH = 4  # repeats to tell how much they spread
SIGNIFICANT = 0.05


def relative(first: float, second: float) -> float:
    """Return the difference as a share of the smaller value; infinite if one of them is zero."""
    low, high = sorted((first, second))
    if low == high:
        return 0.0
    return (high - low) / low if low else float("inf")


def floor(first: Sequence[float], second: Sequence[float]) -> float:
    """Return by how much two repeats of the same thing differ at the most, 19 times of 20.

    Of few repeats it is wide, since nobody knows then how much they spread; of fewer than four it is the largest
    difference that was seen.
    """
    values = (*first, *second)
    if len(values) >= ENOUGH and min(values) > 0:
        from loadtests.analysis import uncertainty  # noqa: PLC0415  # takes numpy, which the system's Python lacks

        return uncertainty.between_two(values)
    return max((relative(a, b) for a, b in product(values, repeat=2)), default=0.0)


def at_least(measured: float | None) -> float:
    """Return the floor of this machine: what was measured, if it is more than FLOOR."""
    return max(FLOOR, measured or 0.0)


def no_difference(first: Sequence[float], second: Sequence[float], floor: float = FLOOR) -> bool:
    """Return whether the medians differ by less than the floor, or by no more than repeats of the same thing may."""
    if relative(median(first), median(second)) <= floor:
        return True
    if min(len(first), len(second)) < 2:
        return False
    from loadtests.analysis import uncertainty  # noqa: PLC0415  # takes numpy, which the system's Python lacks

    return uncertainty.difference(first, second).p > SIGNIFICANT
