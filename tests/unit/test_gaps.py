from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from loadtests.analysis.capacity import predict
from loadtests.analysis.gaps import Gap, gap, limited_by, notices
from loadtests.analysis.statistics import LevelFigures, steps
from loadtests.model.load_level import LoadLevel
from loadtests.model.prediction import Deployment
from loadtests.model.server_metrics import Worker
from tests.unit.factories import HOG, INSIDE, SETTINGS, WSGI, measured

FOUR = Deployment(slots=4, cores=2.0, workers=4, machine=2.0)
EXPECTED = predict(
    replace(SETTINGS, latency=0.5), "threadpool", FOUR, LoadLevel(users=4)
)  # 8 pages/s, limited by users


def step(goodput: float, **changes: Any) -> LevelFigures:
    seen = {name: changes.pop(name) for name in list(changes) if name in type(INSIDE).__slots__}
    return steps([measured(WSGI, 4, goodput, inside=replace(INSIDE, **seen), **changes)], WSGI)[0]


def found(goodput: float, **changes: Any) -> Gap:
    gap_found = gap("WSGI threadpool", step(goodput, **changes), EXPECTED, FOUR, 0.05)
    assert gap_found is not None
    return gap_found


def workers(*pages: float) -> tuple[Worker, ...]:
    return tuple(Worker(str(number), each, 1.0, 1.0) for number, each in enumerate(pages))


def test_what_follows_the_prediction_is_no_gap() -> None:
    assert gap("WSGI threadpool", step(7.9), EXPECTED, FOUR, 0.05) is None
    assert limited_by(None, EXPECTED) == "users"
    assert limited_by(None, None) is None


def test_a_small_gap_is_still_limited_by_what_was_predicted() -> None:
    small = found(6.5)
    assert not small.missed
    assert small.limited_by == "users"
    assert small.sentence == (
        "WSGI threadpool at 4 users: 6.50 pages/s measured, 8.00 predicted, -19% (limited by users)."
    )


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"workers": workers(20, 20, 0, 0)}, "uneven workers", "its 4 workers finished 20, 20, 0, 0 pages"),
        ({"workers": workers(20, 20)}, "uneven workers", "its 4 workers finished 20, 20, 0, 0 pages"),
        ({"workers_started": 2.0}, "restarts", "2 workers ended and were replaced, and the service's log may say why"),
        ({"failures": Counter({"502": 10})}, "failures", "10 of 50 pages failed"),
        ({"throttled_seconds": 4.0}, "cpu limit", "its CPU limit held it back 40% of the time"),
        ({"cpu_seconds": 19.0}, "cpu", "its processes computed on 1.90 of 2.00 cores"),
        ({"machine": HOG}, "busy machine", "something else used the machine: other processes used 0.90 of 2 cores"),
        ({"workers": workers(11, 10, 10, 9)}, "unknown", "what limited it is not known"),
        ({}, "unknown", "what limited it is not known"),
    ],
)
def test_who_misses_the_prediction_by_half_was_not_limited_by_what_was_predicted(
    changes: dict[str, Any], name: str, words: str
) -> None:
    half = found(4.0, **changes)
    assert half.missed
    assert half.limited_by == name
    assert words in half.sentence
    assert "limited by users" not in half.sentence


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"workers": workers(20, 20, 20, 0)}, "uneven workers"),
        ({"workers_started": 1.0}, "restarts"),
        ({"failures": Counter({"502": 20})}, "failures"),
        ({"machine": HOG}, "users"),
    ],
)
def test_what_certainly_takes_goodput_away_is_named_also_for_a_smaller_gap(changes: dict[str, Any], name: str) -> None:
    assert found(6.0, **changes).limited_by == name
    assert found(10.0, **changes).limited_by == "users", "more than predicted"


def test_pages_that_were_predicted_to_fail_explain_nothing() -> None:
    half = replace(EXPECTED, failing=0.5)
    apart = gap("WSGI threadpool", step(6.0, failures=Counter({"503": 60})), half, FOUR, 0.05)
    assert apart is not None
    assert apart.limited_by == "users"


def test_an_upper_bound_that_is_not_reached_is_no_gap() -> None:
    bound = replace(EXPECTED, failing=None)
    assert gap("WSGI threadpool", step(2.0), bound, FOUR, 0.05) is None
    assert gap("WSGI threadpool", step(12.0), bound, FOUR, 0.05) is not None


def test_pages_where_none_were_predicted_are_a_gap() -> None:
    none = replace(EXPECTED, goodput=0.0, bottleneck="failures", failing=1.0)
    assert gap("WSGI threadpool", step(0.0), none, FOUR, 0.05) is None
    some = gap("WSGI threadpool", step(4.0), none, FOUR, 0.05)
    assert some is not None
    assert some.sentence.endswith("4.00 pages/s measured, 0 predicted (limited by failures).")


def test_slots_that_have_a_connection_and_no_page_are_told() -> None:
    def said(**seen: float | None) -> list[str]:
        return list(notices("WSGI threadpool", step(7.9, **seen), EXPECTED, None))

    [sentence] = said(slots_busy=10.0, pages_in_flight=6.0)
    assert "4.00 slots are taken by connections whose request has not come whole" in sentence
    assert not said(slots_busy=10.0, pages_in_flight=9.0)  # it reads and writes, too
    assert not said(slots_busy=None, pages_in_flight=30.0)


def test_one_event_loop_that_is_late_among_others_in_time_is_told_and_a_worker_of_the_api_that_ended() -> None:
    def said(*late: float | None, **seen: Any) -> list[str]:
        each = tuple(Worker(str(number), 20.0, 1.0, 1.0, late=seconds) for number, seconds in enumerate(late))
        return list(notices("ASGI gather", step(7.9, workers=each, **seen), EXPECTED, None))

    [sentence] = said(0.002, 0.5)
    assert "the event loop of one of 2 workers came back up to 500 ms late, and most others in time" in sentence
    assert not said(0.5, 0.5), "all are late: the step is busy, and its lag says so"
    assert not said(0.002, 0.01)
    assert not said(0.5)
    assert not said(None, None)
    ended = Worker("21", 400.0, 30.0, 40.0, ended=True)
    assert said(api_workers=(ended,)) == [
        "ASGI gather at 4 users: 1 of the api's workers ended, and the api's log may say why."
    ]
