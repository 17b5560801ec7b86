"""Rows 26 to 28 of docs/method.md: a load whose shape hides the queue, and users who are not what they are called."""

from __future__ import annotations

import heapq
from itertools import islice
from random import Random

from loadtests.generator.plan import first_page_after
from loadtests.model.arrivals import SHAPES
from loadtests.model.load_level import shaped, users

SLOTS, LATENCY = 10, 0.5  # seconds
RATE = 0.88 * SLOTS / LATENCY  # pages/s


def p95(shape: str) -> float:
    """Of 20,000 pages that arrive at a target with ten slots."""
    free, took = [0.0] * SLOTS, []
    for moment in islice(SHAPES[shape](RATE, Random(1)), 20_000):
        begun = max(moment, heapq.heappop(free))
        heapq.heappush(free, begun + LATENCY)
        took.append(begun + LATENCY - moment)
    return sorted(took)[19_000]


def test_arrivals_at_equal_intervals_hide_the_queue_that_chance_makes() -> None:
    even, poisson, bursty = p95("even"), p95("poisson"), p95("bursty")
    assert even < 1.1 * LATENCY
    assert poisson > 1.4 * LATENCY
    assert bursty > poisson


def most_at_once(starts: list[float]) -> int:
    """Pages that end within a twentieth of the page time, of users who keep their distance for ever."""
    return max(sum(start <= other < start + 0.05 for other in starts) for start in starts)


def test_users_are_neither_in_lockstep_nor_as_far_apart_as_they_can_be() -> None:
    random = Random(1)
    starts = [first_page_after(user, 100, None, 1.0, random) for user in range(100)]
    assert 5 < most_at_once(starts) < 30


def test_users_without_think_time_and_those_who_think_are_not_called_the_same() -> None:
    plain, thinking = (shaped(users(100), think, "")[0] for think in (None, 5.0))
    assert plain.name == "100 users"
    assert thinking.name == "100 users who think 5 s"
    assert plain != thinking
