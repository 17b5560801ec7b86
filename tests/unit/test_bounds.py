from __future__ import annotations

import pytest

from loadtests.host import topology
from services.bounds import FAN_OUT, LATENCY, Bound, OutOfBounds


@pytest.mark.parametrize("text", ["0", "10", "0.25", ".5", "1e-3", "+2", "10.0"])
def test_a_number_within_its_bounds_is_taken(text: str) -> None:
    assert LATENCY.parse(text) == float(text)


@pytest.mark.parametrize(
    "text", ["", " ", "abc", "-1", "10.01", "nan", "inf", "1e400", "1_0", "１", "0x1", "1,5", "9" * 5000, "1;ls"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(OutOfBounds):
        LATENCY.parse(text)


def test_a_whole_number_has_no_fraction() -> None:
    assert FAN_OUT.parse("7") == 7
    assert isinstance(FAN_OUT.parse("7"), int)
    with pytest.raises(OutOfBounds):
        FAN_OUT.parse("7.5")


def test_the_refusal_names_the_parameter_its_bounds_and_what_came() -> None:
    with pytest.raises(OutOfBounds, match=r"fan_out must be a whole number from 1 to 100 calls; it is '101'") as caught:
        FAN_OUT.parse("101")
    assert caught.value.members == {"parameter": "fan_out", "minimum": 1, "maximum": 100, "came": "101"}


def test_a_huge_value_is_not_echoed_whole() -> None:
    with pytest.raises(OutOfBounds) as caught:
        Bound("n", 0, 1).parse("x" * 100_000)
    assert len(str(caught.value)) < 200


def test_the_threads_that_make_calls_are_enough_for_all_slots_and_the_largest_page() -> None:
    environment = topology.services({})["wsgi"].environment
    largest = FAN_OUT.maximum
    assert int(environment["THREADPOOL"]) >= int(environment["WORKERS"]) * int(environment["THREADS"]) * largest
