from __future__ import annotations

import pytest

from services.aggregator.parameters import read_page
from services.bounds import OutOfBounds
from services.query import BadQuery


def test_without_a_query_the_defaults_hold_and_nothing_is_passed_on() -> None:
    page = read_page("", default_fan_out=3)
    assert page.calls == ["task_id=0", "task_id=1", "task_id=2"]


def test_what_is_given_is_passed_on_with_every_call() -> None:
    page = read_page("fan_out=2&latency=0.5&jitter=0.1&fail=0.2&hang=0", default_fan_out=10)
    assert page.calls == [f"task_id={n}&latency=0.5&jitter=0.1&fail=0.2&hang=0.0" for n in (0, 1)]


def test_the_first_calls_of_a_page_can_hang() -> None:
    page = read_page("fan_out=3&latency=0.5&hang=0&hanging=2", default_fan_out=10)
    assert page.calls == [
        "task_id=0&latency=0.5&hang=1",
        "task_id=1&latency=0.5&hang=1",
        "task_id=2&latency=0.5&hang=0.0",
    ]


def test_a_page_can_be_asked_to_compute_and_the_api_does_not_hear_of_it() -> None:
    page = read_page("fan_out=1&work=0.25", default_fan_out=10)
    assert (page.work, page.calls) == (0.25, ["task_id=0"])
    assert read_page("", default_fan_out=1, default_work=0.1).work == 0.1


def test_a_misspelled_parameter_does_not_pass_as_its_default() -> None:
    with pytest.raises(BadQuery, match="unknown parameter 'fanout'; known are fan_out, latency"):
        read_page("fanout=5", default_fan_out=10)


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(BadQuery, match="fan_out is given more than once"):
        read_page("fan_out=5&fan_out=6", default_fan_out=10)


def test_an_endless_query_is_refused() -> None:
    with pytest.raises(BadQuery, match="longer than 2000 characters"):
        read_page("latency=" + "1" * 5000, default_fan_out=10)


@pytest.mark.parametrize(
    "query",
    [
        "fan_out=0",
        "fan_out=101",
        "fan_out=",
        "latency=-1",
        "jitter=nan",
        "fail=1.1",
        "hanging=1.5",
        "hanging=101",
        "work=1.1",
    ],
)
def test_a_value_outside_its_bounds_is_refused(query: str) -> None:
    with pytest.raises(OutOfBounds):
        read_page(query, default_fan_out=10)
