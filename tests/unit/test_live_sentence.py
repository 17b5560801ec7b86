from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.live.second import step
from loadtests.live.sentence import Shown, Situation, digits, reservations, sentence
from tests.unit.live import load, second

WSGI = Shown("wsgi", 10, step(60.0, [second(10, 9.9)] * 5))
ASGI = Shown("asgi", None, step(60.0, [second(97, 1.05, pages_in_flight=98)] * 5))
SETTLED = Situation(running=True, since_change=60.0, settled_after=15.0, latency=1.0)


def test_it_says_what_both_do() -> None:
    assert sentence([WSGI, ASGI]) == (
        "100 users each: WSGI 10 pages/s, p95 9.9 s, 10 of 10 slots busy · "
        "ASGI 97 pages/s, p95 1.05 s, 98 pages at once"
    )


def test_it_says_what_one_does() -> None:
    assert sentence([WSGI]) == "100 users: WSGI 10 pages/s, p95 9.9 s, 10 of 10 slots busy"


def test_it_says_failures_and_leaves_out_what_is_unknown() -> None:
    failing = Shown("asgi", None, step(1.0, [second(users=1, load=load(0, refused=5), pages_in_flight=None)]))
    assert sentence([failing]) == "1 user: ASGI 0 pages/s, 5 failures/s"


def test_what_was_true_when_it_was_stopped_stands() -> None:
    assert sentence([WSGI], running=False).startswith("Stopped at 100 users: WSGI 10 pages/s")


def test_without_load_it_says_what_to_do() -> None:
    assert sentence([]) == "Nothing is loaded: press Start."


def test_both_at_once_are_not_comparable_to_the_last_digit() -> None:
    said = reservations(SETTLED, [WSGI, ASGI])
    assert len(said) == 1
    assert "loaded at once" in said[0]
    assert "trust the shape and the ratio" in said[0]
    assert reservations(SETTLED, [ASGI]) == []


def test_where_the_machine_has_no_cpu_left_not_even_the_ratio_is_to_be_trusted() -> None:
    spent = replace(SETTLED, machine_cpu=0.97)
    (said,) = reservations(spent, [WSGI, ASGI])
    assert "loaded at once" in said
    assert "CPU is saturated (97%), so they compete for it" in said
    assert "ratio" not in said
    assert reservations(spent, [ASGI]) == []


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        ({"generator_cpu": 0.9}, "The load generator is saturated (0.90 cores)"),
        ({"lateness": 0.2}, "The api itself is late (p99 200 ms more than asked for)"),
        ({"lateness": None}, "The api does not say"),
        ({"since_change": 3.0}, "settled in about 12 s"),
    ],
)
def test_it_says_what_is_not_comparable_right_now(situation: dict[str, float | None], said: str) -> None:
    assert said in " ".join(reservations(replace(SETTLED, **situation), [ASGI]))  # type: ignore[arg-type]


def test_it_says_when_there_are_too_few_pages() -> None:
    few = Shown("wsgi", 10, step(1.0, [second(3)]))
    assert "Too few pages in the last seconds for WSGI" in reservations(SETTLED, [few])[0]


def test_nothing_is_doubted_when_nothing_is_shown() -> None:
    assert reservations(Situation(running=False, generator_cpu=2.0), []) == []


def test_figures_that_stand_after_a_stop_keep_their_reservations() -> None:
    spent = replace(SETTLED, running=False, generator_cpu=0.9, lateness=0.2, machine_cpu=0.97)
    said = " ".join(reservations(spent, [WSGI, ASGI]))
    for part in ("generator is saturated", "api itself is late", "CPU is saturated"):
        assert part in said
    (unsettled,) = reservations(replace(SETTLED, running=False, since_change=3.0), [ASGI])
    assert unsettled.startswith("Stopped before the lines had settled")


LATE_LOOP = {"11": {0.05: 0.0, 0.5: 9.0, 1.0: 10.0, float("inf"): 10.0}}


@pytest.mark.parametrize(
    ("situation", "cpu_seconds", "cause"),
    [
        ({"work": 0.1, "machine_cpu": 0.97}, 0.9, "each page computes for 0.1 s on it (work)"),
        ({"machine_cpu": 0.97}, 0.9, "the machine's CPU is saturated (97%)"),
        ({}, 0.95, "it computes all the time (0.95 cores)"),
        ({}, 0.06, "some code blocks it, which does not await"),
        ({}, None, "some code blocks it, which does not await"),
    ],
)
def test_a_loop_that_comes_back_late_is_said_with_its_cause(
    situation: dict[str, float], cpu_seconds: float | None, cause: str
) -> None:
    late = second(20, 3.0, loop_lag=LATE_LOOP, cpu_seconds=cpu_seconds)
    shown = Shown("asgi", None, step(60.0, [late] * 5))
    assert sentence([shown]).endswith("event-loop lag 1 s")
    (said,) = reservations(replace(SETTLED, **situation), [shown])  # type: ignore[arg-type]
    assert said == f"The event loop of ASGI comes back up to 1 s late, and all its pages wait for that: {cause}."


def test_a_loop_that_comes_back_in_time_is_not_mentioned() -> None:
    free = Shown("asgi", None, step(60.0, [second(20, loop_lag={"11": {0.05: 10.0, float("inf"): 10.0}})] * 5))
    assert "event-loop" not in sentence([free])
    assert reservations(SETTLED, [free]) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (9.9, "9.9"),
        (97.04, "97"),
        (97.25, "97.2"),
        (1.05, "1.05"),
        (0.031, "0.031"),
        (100.0, "100"),
        (1234.4, "1,234"),
    ],
)
def test_numbers_have_three_digits_that_mean_something(value: float, text: str) -> None:
    assert digits(value) == text
