from __future__ import annotations

from itertools import pairwise, takewhile
from random import Random
from statistics import fmean, pstdev

import pytest

from loadtests.model.arrivals import SHAPES

RATE, SECONDS = 20.0, 500


def moments(shape: str, seed: int = 1) -> list[float]:
    return list(takewhile(lambda moment: moment < SECONDS, SHAPES[shape](RATE, Random(seed))))


def variation(values: list[float]) -> float:
    return pstdev(values) / fmean(values)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_keeps_its_rate_and_its_order_and_is_the_same_for_the_same_seed(shape: str) -> None:
    found = moments(shape)
    assert len(found) == pytest.approx(RATE * SECONDS, rel=0.12)
    assert found == sorted(found)
    assert found == moments(shape)
    assert shape == "even" or found != moments(shape, seed=2)


def test_even_ones_never_vary_those_by_chance_as_much_as_their_mean_and_bursts_more() -> None:
    even, poisson, bursty = (variation([b - a for a, b in pairwise(moments(shape))]) for shape in SHAPES_BY_VARIATION)
    assert even == pytest.approx(0, abs=1e-6)
    assert poisson == pytest.approx(1, rel=0.05)
    assert bursty > 2


SHAPES_BY_VARIATION = ("even", "poisson", "bursty")
