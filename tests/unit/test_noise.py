from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from loadtests.analysis import noise
from loadtests.analysis.statistics import Measured
from loadtests.experiments import find
from loadtests.model.experiment import Arm
from loadtests.results.summary import summarize
from tests.unit.factories import ASGI, WSGI, measured, run


def test_a_difference_below_the_floor_is_none() -> None:
    assert noise.no_difference([100.0], [104.0])
    assert not noise.no_difference([100.0], [106.0])


def test_a_difference_within_the_spread_of_the_repeats_is_none() -> None:
    assert noise.no_difference([80.0, 100.0, 101.0], [99.0, 110.0, 130.0])
    assert not noise.no_difference([98.0, 100.0, 101.0], [105.0, 110.0, 112.0])


def test_the_floor_is_what_two_more_repeats_would_differ_by_at_the_most() -> None:
    """Of few repeats it is more than what was seen, and of many about 1.96 · √2 of their spread."""
    assert noise.floor([100.0], [98.0]) == pytest.approx(2 / 98)
    assert 3 / 98 < noise.floor([100.0, 98.0], [99.0, 101.0]) < 0.1
    many = [math.exp(0.01 * normal) for normal in NormalDist().samples(400, seed=1)]
    assert noise.floor(many, many[:1]) == pytest.approx(1.96 * math.sqrt(2) * 0.01, rel=0.1)
    assert noise.relative(0.0, 1.0) == float("inf")
    assert noise.relative(0.0, 0.0) == 0.0


def aa_run(*, again: float) -> list[Measured]:
    arms = [
        (WSGI, 10.0),
        (Arm("wsgi", "threadpool", "again"), 10.0),
        (ASGI, 20.0),
        (Arm("asgi", "gather", "again"), again),
    ]
    return [measured(arm, 20, goodput, repeat=n) for n in range(3) for arm, goodput in arms]


@pytest.mark.parametrize(("again", "status", "floor"), [(20.4, "confirmed", 0.04), (24.0, "not confirmed", 0.44)])
def test_the_noise_experiment_measures_the_floor(again: float, status: str, floor: float) -> None:
    result = summarize(run(*aa_run(again=again), experiment=find("noise")))
    assert result["verdict"]["status"] == status
    assert result["noise_floor"] == pytest.approx(floor, rel=0.01)
    assert "asgi" in result["verdict"]["sentence"]
    assert [arm["label"] for arm in result["arms"]] == ["", "again", "", "again"]
