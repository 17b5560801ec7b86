from __future__ import annotations

import pytest

from loadtests.analysis import capacity
from loadtests.knobs import Settings

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
    predicted = capacity.predict(PLAIN, "threadpool", slots, users)
    assert (predicted.goodput, predicted.response_time) == pytest.approx((goodput, response_time))
    assert predicted.bottleneck == bottleneck


def test_one_call_after_the_other_takes_the_sum_and_side_by_side_the_longest() -> None:
    assert capacity.page_time(PLAIN, "sequential") == pytest.approx(10)
    assert capacity.page_time(PLAIN, "threadpool") == pytest.approx(1)
    jittery = Settings(fan_out=9, latency=1.0, jitter=1.0, fail=0.0)
    assert capacity.page_time(jittery, "gather") == pytest.approx(1.9)
    assert capacity.page_time(jittery, "sequential") == pytest.approx(13.5)


def test_without_any_latency_nothing_is_limited_by_waiting() -> None:
    predicted = capacity.predict(Settings(10, 0.0, 0.0, 0.0), "gather", 10, 100)
    assert predicted.goodput == float("inf")
    assert predicted.response_time == 0
