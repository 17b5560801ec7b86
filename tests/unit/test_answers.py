from __future__ import annotations

from random import Random
from statistics import fmean

import pytest

from loadtests.analysis.answers import fastest, in_time, quantile, slowest
from loadtests.model.settings import Settings
from services.api.behaviour import Behaviour

CONSTANT = Settings(10, 0.2, 0.0, 0.0)
UNIFORM = Settings(10, 0.2, 1.0, 0.0)
LOGNORMAL = Settings(10, 0.2, 0.0, 0.0, latency_p99=1.0)
HEAVY = Settings(10, 0.2, 0.0, 0.0, latency_p99=4.0)
EVERY = pytest.mark.parametrize("settings", [CONSTANT, UNIFORM, LOGNORMAL, HEAVY])


def drawn(settings: Settings, calls: int) -> list[float]:
    """As the api draws them, in seconds."""
    behaviour = Behaviour(settings.latency, settings.jitter, 0.0, 0.0, settings.latency_p99)
    random = Random(1)
    return [behaviour.outcome(random).wait for _ in range(calls)]


@EVERY
@pytest.mark.parametrize("calls", [1, 10])
def test_the_slowest_of_a_pages_calls_takes_as_long_as_when_the_api_draws_them(settings: Settings, calls: int) -> None:
    waits = drawn(settings, 200_000)
    pages = [max(waits[first : first + calls]) for first in range(0, len(waits), calls)]
    assert slowest(settings, calls) == pytest.approx(fmean(pages), rel=0.02)


@EVERY
def test_as_many_answers_come_in_time_as_when_the_api_draws_them(settings: Settings) -> None:
    waits = drawn(settings, 50_000)
    for timeout in (0.1, 0.3, 0.9):
        soon = [wait for wait in waits if wait < timeout]
        assert in_time(settings, timeout) == pytest.approx(len(soon) / len(waits), abs=0.01)
        if soon:
            assert slowest(settings, 1, in_time(settings, timeout)) == pytest.approx(fmean(soon), rel=0.02)


def test_half_of_all_answers_come_within_the_median_and_all_but_one_of_100_within_the_p99() -> None:
    assert quantile(LOGNORMAL, 0.5) == pytest.approx(0.2)
    assert quantile(LOGNORMAL, 0.99) == pytest.approx(1.0)
    assert quantile(Settings(1, 0.2, 0.0, 0.0, latency_p99=0.2), 0.99) == 0.2


@pytest.mark.parametrize("correlated", [0, 1])
def test_the_fastest_of_many_pages_is_hardly_ever_faster_than_what_is_believed(correlated: int) -> None:
    settings = Settings(10, 0.2, 0.0, 0.0, latency_p99=1.0, correlated=correlated)
    waits = drawn(settings, 100_000)
    calls = 1 if correlated else 10
    pages = [max(waits[first : first + calls]) for first in range(0, 100 * calls, calls)]
    assert fastest(settings, 100, 1e-6) < min(pages) < 20 * fastest(settings, 100, 1e-6)
    assert fastest(settings, 100, 1e-6) > (0.003 if correlated else 0.1), "or a page from a cache would pass"
