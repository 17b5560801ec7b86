"""Rows 31 to 33 of docs/method.md: chance that is taken for a finding, and a finding that is taken for chance."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.analysis import noise
from loadtests.analysis.comparison import BEYOND, Comparison, compare, parse
from loadtests.analysis.histograms import histogram
from loadtests.analysis.statistics import percentiles
from tests.unit.test_comparison import arm, step, summary

RUNS = 120  # pairs of runs of each kind
STEPS = (1, 10, 50, 100)  # users
SPREAD = 0.04  # between repeats of the same thing, as a share


def compared(random: np.random.Generator, repeats: int, change: float) -> Comparison:
    """Two runs of four steps, whose goodput at 100 users differs by this share and else by chance alone."""
    runs = []
    for of_run in (0.0, change):
        shares = {users: 1 + SPREAD * random.standard_normal(repeats) for users in STEPS}
        goodputs = {users: 100 * (1 + (of_run if users == 100 else 0)) * shares[users] for users in STEPS}
        runs.append(parse(summary(arm(*(step(users, *map(float, goodputs[users])) for users in STEPS)))))
    return compare(*runs)


def share_beyond(repeats: int, change: float) -> float:
    """Of the pairs of runs in which a goodput changed beyond the noise: at 100 users, where anything did."""
    random, found = np.random.default_rng(repeats), 0
    for _ in range(RUNS):
        beyond = [one for one in compared(random, repeats, change).goodputs if one.verdict == BEYOND]
        found += any(one.place.load == "100 users" for one in beyond) if change else bool(beyond)
    return found / RUNS


def test_a_true_difference_is_found_more_often_the_more_repeats_there_are() -> None:
    few, some, many = (share_beyond(repeats, 0.15) for repeats in (3, 5, 10))
    assert few < some < many
    assert many > 0.9


@pytest.mark.parametrize("repeats", [3, 10])
def test_chance_is_seldom_taken_for_a_difference_however_many_figures_are_compared(repeats: int) -> None:
    assert share_beyond(repeats, 0.0) <= 0.08


def test_repeats_that_overlap_may_differ_all_the_same() -> None:
    """The highest of ten is above the lowest of ten others; a range only grows with repeats."""
    random = np.random.default_rng(4)
    before, after = (list(mean * (1 + SPREAD * random.standard_normal(10))) for mean in (100, 110))
    assert max(before) > min(after)
    assert not noise.no_difference(before, after)


def test_the_slowest_of_fifty_pages_is_not_called_p99() -> None:
    times = histogram()
    for pages, known in ((50, {"p50", "max"}), (100, {"p50", "p95", "max"}), (1000, {"p50", "p95", "p99", "max"})):
        while times.get_total_count() < pages:
            times.record_value(1_000_000)
        assert {name for name, value in percentiles(times).items() if value is not None} == known
