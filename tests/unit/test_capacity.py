from __future__ import annotations

import pytest

from loadtests.analysis.capacity import Deployment, page_time, predict
from loadtests.knobs import Settings
from loadtests.step import Step

PLAIN = Settings(fan_out=10, latency=1.0, jitter=0.0, fail=0.0)


@pytest.mark.parametrize(
    ("users", "slots", "goodput", "response_time", "bottleneck"),
    [
        (1, 10, 1, 1, "users"),
        (10, 10, 10, 1, "users"),
        (50, 10, 10, 5, "slots"),
        (100, 10, 10, 10, "slots"),
        (100, None, 100, 1, "users"),
    ],
)
def test_slots_limit_goodput_and_the_queue_lengthens_the_response_time(
    users: int, slots: int | None, goodput: float, response_time: float, bottleneck: str
) -> None:
    predicted = predict(PLAIN, "threadpool", Deployment(slots), Step(users=users))
    assert (predicted.goodput, predicted.response_time) == pytest.approx((goodput, response_time))
    assert predicted.bottleneck == bottleneck


def test_cpu_limits_what_no_slot_limits_and_lengthens_every_page() -> None:
    one_core = Deployment(slots=None, cores=1.0)
    predicted = predict(PLAIN, "gather", one_core, Step(users=1000), cpu_per_page=0.01)
    assert predicted.goodput == pytest.approx(100)
    assert predicted.bottleneck == "cpu"
    assert predicted.response_time == pytest.approx(10)
    assert predict(PLAIN, "gather", one_core, Step(users=10), cpu_per_page=0.01).response_time == pytest.approx(1.01)
    assert predict(PLAIN, "gather", Deployment(None, cores=2.0), Step(users=1000), 0.01).goodput == pytest.approx(200)


def test_a_pool_limits_the_strategy_that_uses_it() -> None:
    pooled = Deployment(slots=None, pools={"gather": 100})
    predicted = predict(PLAIN, "gather", pooled, Step(users=50))
    assert predicted.goodput == pytest.approx(10)
    assert predicted.bottleneck == "pool"
    assert predict(PLAIN, "threadpool", pooled, Step(users=50)).bottleneck == "users"
    assert predict(PLAIN, "sequential", pooled, Step(users=50)).bottleneck == "users"


def test_an_arms_own_client_has_a_pool_of_its_own() -> None:
    pooled = Deployment(slots=None, pools={"gather": 100})
    assert pooled.with_pool("gather", None) == pooled
    assert pooled.with_pool("own", 50).pools == {"gather": 100, "own": 50}
    assert pooled.with_pool("gather", 50).pools == {"gather": 50}


def test_queries_come_one_after_the_other_and_wait_for_a_connection() -> None:
    pooled = Deployment(slots=None, pools={"orm_async": 10})
    predicted = predict(PLAIN, "orm_async", pooled, Step(users=20))
    assert predicted.page_time == pytest.approx(10)
    assert predicted.goodput == pytest.approx(1)
    assert predicted.bottleneck == "pool"


def test_one_call_after_the_other_takes_the_sum_and_side_by_side_the_longest() -> None:
    assert page_time(PLAIN, "sequential") == pytest.approx(10)
    assert page_time(PLAIN, "threadpool") == pytest.approx(1)
    jittery = Settings(fan_out=9, latency=1.0, jitter=1.0, fail=0.0)
    assert page_time(jittery, "gather") == pytest.approx(1.9)
    assert page_time(jittery, "sequential") == pytest.approx(13.5)


def test_without_any_latency_only_cpu_limits() -> None:
    nothing = Settings(10, 0.0, 0.0, 0.0)
    assert predict(nothing, "gather", Deployment(10), Step(users=100)).goodput == float("inf")
    assert predict(nothing, "gather", Deployment(10, 1.0), Step(users=100), 0.005).goodput == pytest.approx(200)


def test_arrivals_that_a_target_can_serve_wait_for_nobody() -> None:
    predicted = predict(PLAIN, "threadpool", Deployment(10), Step(rate=5), after=60)
    assert (predicted.goodput, predicted.response_time) == pytest.approx((5, 1))
    assert predicted.bottleneck == "arrivals"
    assert predicted.pages_in_flight == pytest.approx(5)


def test_arrivals_beyond_the_slots_queue_for_as_long_as_they_go_on() -> None:
    soon = predict(PLAIN, "threadpool", Deployment(10), Step(rate=20), after=3)
    later = predict(PLAIN, "threadpool", Deployment(10), Step(rate=20), after=30)
    assert soon.goodput == later.goodput == pytest.approx(10)
    assert (soon.response_time, later.response_time) == pytest.approx((1 + 3, 1 + 30))
    assert soon.bottleneck == "slots"
    assert later.pages_in_flight == 10  # the rest queues outside
    assert predict(PLAIN, "threadpool", Deployment(10), Step(rate=20)).response_time == float("inf")
