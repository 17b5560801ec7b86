"""Intervals, trends and interruptions, on windows whose truth is known."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from loadtests.analysis import uncertainty
from loadtests.analysis.uncertainty import Interval
from loadtests.model.measurement import Page

WINDOW = 5.0


def closed_loop(users: int, took: float, first: Callable[[int], float], noise: float = 0.02) -> list[Page]:
    """Users who ask for page after page; `first`: when each of them begins, in page times."""
    random, pages = np.random.default_rng(users), []
    for user in range(users):
        began = (first(user) - 2) * took
        while began < WINDOW:
            pages.append(Page(began, took * (1 + noise * random.exponential()), None))
            began = pages[-1].ended
    return [page for page in pages if page.ended >= 0]


def at_random(seed: int) -> Callable[[int], float]:
    random = np.random.default_rng(seed)
    return lambda _: float(random.uniform())


def goodput(pages: list[Page], turn: float = 1.0) -> Interval | None:
    return uncertainty.of_draws(uncertainty.draws(pages, WINDOW, turn).goodput)


def half(interval: Interval | None) -> float:
    """Of its width, as a share of its middle."""
    assert interval is not None
    return (interval.high - interval.low) / (interval.high + interval.low)


@pytest.mark.parametrize(
    "phase", [lambda _: 0.0, lambda user: user / 100, at_random(1)], ids=["lockstep", "even", "any"]
)
def test_users_in_lockstep_are_no_uncertainty(phase: Callable[[int], float]) -> None:
    """A second in which 100 pages end at once and the next in which none does are the same steady load."""
    found = goodput(closed_loop(100, 1.0, phase))
    assert found is not None
    assert half(found) < 0.06
    assert found.low <= 100 <= found.high * 1.02


def test_an_interval_holds_the_true_figure_about_as_often_as_it_says() -> None:
    """Arrivals at random, 20 a second; of 200 windows."""
    random, held = np.random.default_rng(1), 0
    for _ in range(200):
        arrived = np.cumsum(random.exponential(1 / 20, 300)) - 1
        found = goodput([Page(float(moment), 0.5, None) for moment in arrived if moment < WINDOW], 0.5)
        assert found is not None
        held += found.low <= 20 <= found.high
    assert 0.85 <= held / 200 <= 0.99


def test_an_interval_becomes_narrow_with_more_pages() -> None:
    few, many = (closed_loop(users, 0.1, at_random(2), noise=0.3) for users in (4, 100))
    drawn = [uncertainty.draws(pages, WINDOW, 0.1) for pages in (few, many)]
    widths = [half(interval) for one in drawn if (interval := uncertainty.of_draws(one.p95))]
    assert widths[1] < widths[0] / 2


def test_the_quick_look_at_a_window_says_about_what_the_draws_say() -> None:
    random = np.random.default_rng(3)
    for rate in (20, 400):
        arrived = np.cumsum(random.exponential(1 / rate, 7 * rate)) - 1
        pages = [Page(float(moment), 0.01, None) for moment in arrived if moment < WINDOW]
        assert uncertainty.half_width(pages, WINDOW, 0.01) == pytest.approx(half(goodput(pages, 0.01)), rel=0.5)
    for phase in (lambda _: 0.0, lambda user: user / 100, at_random(1)):
        assert uncertainty.half_width(closed_loop(100, 1.0, phase, noise=0.001), WINDOW, 1.0) < 0.03
    assert uncertainty.half_width([], WINDOW, 1.0) == 0.0
    assert uncertainty.half_width([Page(-1.0, 0.5, None)] * 9, WINDOW, 0.1) == 0.0, "all of them ended before"
    assert uncertainty.half_width(closed_loop(1, 4.0, lambda _: 0.0), WINDOW, 4.0) == 0.0


def test_the_quick_look_does_not_hold_up_the_users() -> None:
    """It runs in the load generator, between their pages; a ratio, because a time would depend on the machine."""
    pages = closed_loop(100, 0.02, at_random(1))
    look = min(timeit.repeat(lambda: uncertainty.half_width(pages, WINDOW, 0.02), number=1, repeat=5))
    draws = min(timeit.repeat(lambda: uncertainty.draws(pages, WINDOW, 0.02), number=1, repeat=2))
    assert look < draws / 5


def test_where_too_little_is_known_there_is_no_interval() -> None:
    for pages in ([], [Page(0.0, 0.1, "502")], closed_loop(1, 4.0, lambda _: 0.0)):
        drawn = uncertainty.draws(pages, WINDOW, 2.0)
        assert uncertainty.of_draws(drawn.goodput) is None
        assert uncertainty.of_draws(drawn.p50) is None
    assert uncertainty.of_repeats([1.0]) is None
    assert uncertainty.of_ratio([2.0], [1.0], (uncertainty.NOTHING, uncertainty.NOTHING)) is None


def test_repeats_give_students_interval() -> None:
    found = uncertainty.of_repeats([9.0, 10.0, 11.0])
    assert found == pytest.approx((10 - 4.303 / 3**0.5, 10 + 4.303 / 3**0.5), rel=1e-3)


def test_a_ratio_has_the_interval_of_both_sides() -> None:
    drawn = uncertainty.NOTHING, uncertainty.NOTHING
    low, high = uncertainty.of_ratio([98.0, 100.0, 102.0], [9.9, 10.0, 10.1], drawn) or (0, 0)
    assert 9.5 < low < 10 < high < 10.5
    assert uncertainty.of_ratio([10.0, 10.0], [5.0, 5.0], drawn) == pytest.approx((2.0, 2.0))
    one = np.array([9.0, 10.0, 11.0])
    low, high = uncertainty.of_ratio([10.0], [5.0], (one, np.array([5.0, 5.0, 5.0]))) or (0, 0)
    assert 1.8 <= low < high <= 2.2


# --- steadiness ----------------------------------------------------------------------------------


def test_steady_users_have_no_trend_and_no_interruption_whatever_their_phase() -> None:
    for seed in range(60):
        pages = closed_loop(30, 0.2, at_random(seed), noise=0.3)
        assert uncertainty.drift(pages) is None
        assert uncertainty.stall(pages, WINDOW, 0.2, 8) is None
    in_lockstep = closed_loop(100, 2.0, lambda _: 0.0)  # half of the window has twice as many ends as the other
    assert uncertainty.drift(in_lockstep) is None
    assert uncertainty.stall(in_lockstep, WINDOW, 2.0, 8) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_response_times_that_change_over_the_window_are_a_trend(sign: int) -> None:
    pages = [Page(moment, 1.0 + sign * 0.4 * moment / WINDOW, None) for moment in np.arange(0, WINDOW, 0.02)]
    change = uncertainty.drift(pages)
    assert change is not None
    assert change == pytest.approx(0.4 * sign, rel=0.3)


def test_a_change_that_does_not_matter_is_none() -> None:
    assert uncertainty.drift([Page(moment, 1.0 + moment / 100, None) for moment in np.arange(0, WINDOW, 0.02)]) is None


@pytest.mark.parametrize("users", [5, 100])
def test_a_target_that_stands_still_is_an_interruption(users: int) -> None:
    """For two of five seconds: what was in flight ends late, and nothing new begins."""
    pages = closed_loop(users, 0.2, at_random(3))
    still = [page._replace(took=page.took + 2) if 1.8 < page.began < 2 else page for page in pages]
    still = [page for page in still if not 2 <= page.began < 4]
    stood = uncertainty.stall(still, WINDOW, 0.2, 8)
    assert stood is not None
    assert 1.5 < stood < 3


def test_too_few_pages_tell_nothing() -> None:
    few = [Page(float(n), 0.9, None) for n, _ in zip(count(), range(5), strict=False)]
    assert uncertainty.drift(few) is None
    assert uncertainty.stall(few, WINDOW, 0.9, 8) is None
    assert uncertainty.stall([], WINDOW, 0.9, 8) is None
