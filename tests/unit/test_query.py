from __future__ import annotations

import pytest

from services.aggregator.parameters import Page, read_page
from services.bounds import OutOfBounds
from services.problem import Problem


def queries(page: Page) -> list[str]:
    return [call.query for call in page.calls]


def test_a_pages_nonce_goes_with_every_call_and_nothing_that_a_header_may_not_hold() -> None:
    page = read_page("fan_out=2&page=aZ_9-", default_fan_out=10)
    assert [call.headers for call in page.calls] == [{"x-page": "aZ_9-"}] * 2
    assert [call.headers for call in read_page("fan_out=1", default_fan_out=10).calls] == [{}]
    for bad in ("page=" + "a" * 65, "page=a%0d%0aHost:b", "page=%C3%A9", "page=a%20b"):
        with pytest.raises(Problem, match="page may have 64"):
            read_page(bad, default_fan_out=10)


def test_without_a_query_the_defaults_hold_and_nothing_is_passed_on() -> None:
    page = read_page("", default_fan_out=3)
    assert queries(page) == ["task_id=0", "task_id=1", "task_id=2"]


def test_what_is_given_is_passed_on_with_every_call() -> None:
    page = read_page("fan_out=2&latency=0.5&jitter=0.1&fail=0.2&hang=0", default_fan_out=10)
    assert queries(page) == [f"task_id={n}&latency=0.5&jitter=0.1&fail=0.2&hang=0.0" for n in (0, 1)]


def test_the_first_calls_of_a_page_can_hang() -> None:
    page = read_page("fan_out=3&latency=0.5&hang=0&hanging=2", default_fan_out=10)
    assert queries(page) == [
        "task_id=0&latency=0.5&hang=1",
        "task_id=1&latency=0.5&hang=1",
        "task_id=2&latency=0.5&hang=0.0",
    ]


def test_a_page_can_be_asked_to_compute_and_the_api_does_not_hear_of_it() -> None:
    page = read_page("fan_out=1&work=0.25", default_fan_out=10)
    assert (page.work, queries(page)) == (0.25, ["task_id=0"])
    assert read_page("", default_fan_out=1, default_work=0.1).work == 0.1


def test_a_misspelled_parameter_does_not_pass_as_its_default() -> None:
    with pytest.raises(Problem, match="unknown parameter 'fanout'; known are fan_out, latency"):
        read_page("fanout=5", default_fan_out=10)


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(Problem, match="fan_out is given more than once"):
        read_page("fan_out=5&fan_out=6", default_fan_out=10)


def test_an_endless_query_is_refused() -> None:
    with pytest.raises(Problem, match="longer than 2000 characters"):
        read_page("latency=" + "1" * 5000, default_fan_out=10)


@pytest.mark.parametrize(
    "query",
    [
        "fan_out=0",
        "fan_out=101",
        "fan_out=",
        "latency=-1",
        "jitter=nan",
        "latency=1&latency_p99=0.5",
        "latency=0&latency_p99=0.5",
        "latency=1&latency_p99=2&jitter=1",
        "fail=1.1",
        "hanging=1.5",
        "hanging=101",
        "work=1.1",
    ],
)
def test_a_value_outside_its_bounds_is_refused(query: str) -> None:
    with pytest.raises(OutOfBounds):
        read_page(query, default_fan_out=10)
