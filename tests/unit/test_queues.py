from __future__ import annotations

import heapq
import math
from itertools import pairwise
from random import Random
from statistics import fmean

import pytest

from loadtests.analysis.queues import mean_wait, slots_for, throughputs, waiting_share, with_think_time


def test_one_user_meets_nobody_and_many_come_close_to_what_the_cores_can_do() -> None:
    found = throughputs(1000, delay=1.0, demand=0.01)
    assert found[0] == pytest.approx(1 / 1.01)
    assert found[999] == pytest.approx(100)
    assert all(before <= after * (1 + 1e-9) for before, after in pairwise(found))


@pytest.mark.parametrize(("users", "delay", "demand"), [(2, 1.0, 0.5), (20, 1.0, 0.05), (100, 1.0, 0.009)])
def test_the_exact_throughput_is_that_of_the_markov_chain(users: int, delay: float, demand: float) -> None:
    """Of users who are either at the delay or at the cores: p(n at the cores) from balance, one state after another."""
    weights = [1.0]
    for number in range(1, users + 1):
        weights.append(weights[-1] * (users - number + 1) / delay * demand)
    busy = 1 - weights[0] / sum(weights)
    assert throughputs(users, delay, demand)[-1] == pytest.approx(busy / demand)


def test_without_any_delay_or_demand_only_the_other_limits() -> None:
    assert throughputs(3, 0.0, 0.1) == pytest.approx([10, 10, 10])
    assert throughputs(3, 1.0, 0.0) == pytest.approx([1, 2, 3])
    assert throughputs(1, 0.0, 0.0) == [math.inf]


def test_think_time_before_a_station_is_the_same_as_a_longer_delay_in_one_network() -> None:
    inner = throughputs(50, delay=0.5, demand=0.02)
    assert with_think_time(50, 1.5, inner) == pytest.approx(throughputs(50, delay=2.0, demand=0.02)[-1])


def simulated(slots: int, rate: float, held: float) -> tuple[float, float]:
    """The mean wait of random arrivals in seconds, and the share that waits, where each holds its slot equally long."""
    random, free = Random(1), [0.0] * slots
    moment, waits = 0.0, []
    for _ in range(200_000):
        moment += random.expovariate(rate)
        begun = max(moment, heapq.heappop(free))
        heapq.heappush(free, begun + held)
        waits.append(begun - moment)
    return fmean(waits), sum(wait > 0 for wait in waits) / len(waits)


@pytest.mark.parametrize(("slots", "rate"), [(10, 17.5), (10, 12.0), (50, 92.0)])
def test_pages_that_arrive_at_random_wait_as_long_as_when_it_is_played(slots: int, rate: float) -> None:
    held = 0.5
    wait, share = simulated(slots, rate, held)
    # An approximation, which is 10 % too high at ten slots and less so at more load.
    assert mean_wait(slots, rate * held, held, variation=0.0) == pytest.approx(wait, rel=0.25)
    assert waiting_share(slots, rate * held) == pytest.approx(share, abs=0.06)


def test_erlangs_c_has_the_values_of_his_tables() -> None:
    assert waiting_share(1, 0.5) == pytest.approx(0.5)
    assert waiting_share(10, 8.0) == pytest.approx(0.409, abs=0.001)
    assert waiting_share(10, 10.0) == 1.0
    assert mean_wait(10, 10.0, 1.0, 0.0) == math.inf


@pytest.mark.parametrize("busy", [0.5, 9.7, 97.0, 970.0])
def test_slots_are_enough_when_95_percent_find_one_free_and_no_more_than_that(busy: float) -> None:
    slots = slots_for(busy)
    assert waiting_share(slots, busy) <= 0.05 < waiting_share(slots - 1, busy)
    assert 1 < (slots - busy) / math.sqrt(busy) < 4, "the square-root rule of staffing"
