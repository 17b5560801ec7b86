"""Rows 29, 30 and 35 of docs/method.md: means without chance, answers without a tail, bounds called predictions."""

from __future__ import annotations

import heapq
import math
from random import Random

import pytest

from loadtests.analysis.capacity import predict
from loadtests.analysis.queues import slots_for
from loadtests.model.experiment import Arm
from loadtests.model.load_level import LoadLevel
from loadtests.model.prediction import Deployment
from loadtests.model.settings import Settings
from loadtests.results.history import MeasuredCpu, cpu_of_earlier_runs
from tests.fooling.changed import ChangedLab, failed

BUSY = 87.0  # slots, on average
PAGE_TIME = 0.5  # seconds


def waiting(slots: int) -> float:
    """The share of 50,000 pages, arriving at random, that find no slot free."""
    random, free, waited = Random(1), [0.0] * slots, 0
    moment = 0.0
    for _ in range(50_000):
        moment += random.expovariate(BUSY / PAGE_TIME)
        begun = max(moment, heapq.heappop(free))
        heapq.heappush(free, begun + PAGE_TIME)
        waited += begun > moment
    return waited / 50_000


def test_as_many_slots_as_are_busy_on_average_let_most_pages_wait_and_those_of_the_advice_few() -> None:
    assert waiting(math.ceil(BUSY) + 1) > 0.5
    assert waiting(slots_for(BUSY)) < 0.05


@pytest.mark.slow
def test_an_api_with_a_tail_that_nobody_asked_for_is_late_and_one_that_was_asked_for_is_predicted(
    lab: ChangedLab,
) -> None:
    honest = lab.measure(LATENCY_P99="0.8", FAN_OUT="10")
    assert not failed(honest).keys() & {"physical minimum", "calls", "failed pages"}
    [step] = honest.summary["arms"][1]["steps"]
    longer = predict(
        Settings(10, 0.2, 0.0, 0.0, latency_p99=0.8), "gather", Deployment(None), LoadLevel(users=5)
    ).page_time
    assert step["predicted"]["response_time"] == pytest.approx(longer, rel=0.2)
    assert longer > 2 * 0.2, "the slowest of ten"
    lab.change(
        "services/api/app.py",
        "still_there_after(None if outcome.hangs else outcome.wait, receive)",
        "still_there_after(outcome.wait * (4 if RANDOM.random() < 0.1 else 1), receive)",
    )
    late = failed(lab.measure(FAN_OUT="10"))["api response time"]
    assert all("beyond the latency" in check["value"] for check in late)


def played(users: int, delay: float, demand: float) -> float:
    """Pages/s of users who wait `delay` seconds and then queue for one core, for `demand` seconds on average."""
    random, core, ended = Random(1), 0.0, 0
    ready = [delay * random.random() for _ in range(users)]
    heapq.heapify(ready)
    until = 600.0
    while (moment := heapq.heappop(ready)) < until:
        core = max(core, moment) + random.expovariate(1 / demand)
        ended += core < until
        heapq.heappush(ready, core + delay)
    return ended / until


def test_where_two_bounds_meet_the_prediction_is_what_is_served_and_the_bound_is_not() -> None:
    for users in (50, 100, 200):
        served = played(users, delay=1.0, demand=0.01)
        predicted = predict(
            Settings(1, 1.0, 0.0, 0.0), "gather", Deployment(None, cores=1.0), LoadLevel(users=users), cpu_per_page=0.01
        )
        assert predicted.goodput == pytest.approx(served, rel=0.02)
    assert min(100 / 1.01, 1 / 0.01) > 1.05 * played(100, delay=1.0, demand=0.01)


def test_a_page_of_one_call_is_not_promised_a_tenth_of_the_cpu_of_one_with_ten() -> None:
    def measured(fan_out: int) -> MeasuredCpu:
        return MeasuredCpu("run", ("asgi", "gather"), fan_out, 0.0, 100.0, 0.002 + 0.0003 * fan_out)

    one_call = Settings(1, 0.1, 0.0, 0.0)
    alone = cpu_of_earlier_runs([measured(10)], Arm("asgi", "gather"), one_call, 100.0)
    assert alone is not None
    assert alone.at_most, "it is only known to be a bound"
    both = cpu_of_earlier_runs([measured(10), measured(20)], Arm("asgi", "gather"), one_call, 100.0)
    assert both is not None
    assert both.cpu_per_page == pytest.approx(0.0023)
    assert not both.at_most
