from __future__ import annotations

import pytest

from loadtests.errors import BadInput
from loadtests.model import knobs
from loadtests.model.load_level import rates, users
from loadtests.model.settings import Settings
from services import bounds
from services.aggregator.variants import STRATEGIES


def test_the_knobs_have_the_bounds_that_the_services_enforce() -> None:
    api = (bounds.LATENCY, bounds.JITTER, bounds.LATENCY_P99, bounds.CORRELATED, bounds.FAIL)
    turned_by_hand = (bounds.FAN_OUT, *api, bounds.WORK)
    enforced = {bound.name: bound for bound in turned_by_hand}
    assert {knob.name for knob in knobs.KNOBS} == set(enforced)
    for knob in knobs.KNOBS:
        bound = enforced[knob.name]
        assert (knob.minimum, knob.maximum, knob.whole) == (bound.minimum, bound.maximum, bound.whole)


def test_what_parallel_means_is_a_strategy_that_the_aggregator_has() -> None:
    assert set(knobs.PARALLEL.values()) <= set(STRATEGIES)
    assert knobs.strategies({"gather": "/"}) == ("parallel", "gather")
    with pytest.raises(BadInput, match="STRATEGY must be one of parallel, gather"):
        knobs.check_strategy("telepathy", ("parallel", "gather"))


def test_parallel_means_what_suits_the_interface() -> None:
    assert knobs.strategy_for("parallel", "WSGI") == "threadpool"
    assert knobs.strategy_for("parallel", "ASGI") == "gather"
    assert knobs.strategy_for("sequential", "ASGI") == "sequential"


def test_the_steps_are_sorted_and_unique() -> None:
    assert knobs.users("50, 1,10,10") == users(1, 10, 50)
    assert knobs.rates("40, 2.5,40") == rates(2.5, 40)


@pytest.mark.parametrize("text", ["", "0", "1,,2", "ten", "-5", "1.5", "10001", ",".join(map(str, range(1, 14)))])
def test_steps_that_make_no_sense_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(BadInput, match="USERS"):
        knobs.users(text)


@pytest.mark.parametrize("text", ["", "0", "20,", "many", "-5", "inf", "10001", ",".join(map(str, range(1, 14)))])
def test_rates_that_make_no_sense_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(BadInput, match="RATE"):
        knobs.rates(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "11", "soon", ""])
def test_a_latency_that_makes_no_sense_is_refused_with_what_is_allowed(text: str) -> None:
    latency = next(knob for knob in knobs.KNOBS if knob.name == "latency")
    with pytest.raises(BadInput, match="LATENCY must be a number from 0 to 10"):
        latency.parse(text)


@pytest.mark.parametrize("text", ["0", "-1", "abc", "1.5"])
def test_a_deployment_that_makes_no_sense_is_refused_before_it_is_tried(text: str) -> None:
    with pytest.raises(BadInput, match="WSGI_THREADS must be a whole number from 1 to 10000"):
        knobs.check("WSGI_THREADS", text)
    knobs.check("WSGI_THREADS", "50")
    knobs.check("AGGREGATOR_CPUS", "1.5")


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(BadInput, match="LATENCY is not set"):
        Settings.parse({"fan_out": "10", "jitter": "0", "fail": "0"})


def test_a_page_fails_when_any_of_its_calls_does() -> None:
    settings = Settings(fan_out=2, latency=1, jitter=0, fail=0.5)
    assert settings.failing_pages == pytest.approx(0.75)


def test_a_page_of_one_call_is_said_as_one() -> None:
    assert Settings(fan_out=1, latency=0.25, jitter=0, fail=0).words == "1 call × 0.25 s a page"
    assert Settings(fan_out=10, latency=1, jitter=0, fail=0).words == "10 calls × 1 s a page"
