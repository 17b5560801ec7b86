from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtests.analysis.cost import calibrated, cost, match
from loadtests.analysis.statistics import LevelFigures, steps
from loadtests.model.prediction import Deployment
from tests.unit.factories import ASGI, INSIDE, WSGI, measured

SLOTTED = Deployment(slots=10, cores=1.0)


def step(*, users: int, goodput: float, cpu: float = 0.006, **seen: Any) -> LevelFigures:
    one = measured(WSGI, users, goodput)
    seen.setdefault("threads", 11 * seen["pages_in_flight"])
    known = replace(INSIDE, **seen, cpu_seconds=one.pages * cpu)
    return steps([replace(one, inside=known)], WSGI)[0]


def test_cpu_is_that_of_the_step_itself_or_of_the_nearest_with_pages_enough_to_tell() -> None:
    few = step(users=1, goodput=1, pages_in_flight=1, memory=5e7, cpu=0.02)
    many = step(users=10, goodput=10, pages_in_flight=10, memory=6e7, cpu=0.008)
    busy = step(users=100, goodput=90, pages_in_flight=90, memory=6e7, cpu=0.005)
    every = [few, many, busy]
    assert [calibrated(every, one) for one in every] == [many, many, busy]
    assert calibrated([few], few) is None


def test_memory_per_page_in_flight_is_what_each_further_page_took() -> None:
    low = step(users=1, goodput=1, pages_in_flight=1, memory=50e6)
    high = step(users=100, goodput=10, pages_in_flight=10, memory=59e6)
    assert cost([low, high]).memory_per_page_in_flight == pytest.approx(1e6)
    assert cost([high]).memory_per_page_in_flight is None
    was_there = step(users=1, goodput=1, pages_in_flight=1, memory=58e6, threads=110)
    assert cost([was_there, high]).memory_per_page_in_flight is None, "its threads had taken their memory before"
    assert cost([]).memory is None


def test_matching_takes_as_many_threads_as_pages_are_in_flight_and_some_for_chance() -> None:
    low = step(users=1, goodput=1, pages_in_flight=1, memory=50e6)
    high = step(users=100, goodput=10, pages_in_flight=10, memory=59e6)
    free = steps([measured(ASGI, 100, 97.0)], ASGI)[0]
    sentence = match(high, cost([low, high]), SLOTTED, free, page_time=1.0)
    assert sentence is not None
    assert "WSGI would need 115 threads instead of 10 (predicted, not measured): 97 are busy on average" in sentence
    assert sentence.endswith("They take about 164 MB of memory; ASGI took 60.0 MB.")


def test_there_is_nothing_to_match_in_a_tie() -> None:
    tie = step(users=100, goodput=97, pages_in_flight=97, memory=9e7)
    free = steps([measured(ASGI, 100, 97.0)], ASGI)[0]
    assert match(tie, cost([tie]), SLOTTED, free, 1.0) is None
