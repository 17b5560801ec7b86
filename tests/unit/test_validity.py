from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from loadtests.analysis.inside import Inside
from loadtests.analysis.validity import Limits, checks
from loadtests.experiments import Arm
from loadtests.step import Step
from tests.unit.factories import SETTINGS, measured

LIMITS = Limits(memory={"wsgi": 512_000_000, "api": 512_000_000}, generator_cpus=1.0)


def failed(**changes: Any) -> list[str]:
    within = {name: changes.pop(name) for name in list(changes) if name in Inside.__slots__}
    one = measured(**changes)
    one = replace(one, inside=replace(one.inside, **within))
    return [check.name for check in checks([one], LIMITS) if not check.passed]


def test_a_good_measurement_passes_every_check() -> None:
    assert failed() == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"failures": Counter({"502": 5})}, "failed pages"),
        ({"goodput": 0.0}, "failed pages"),
        ({"generator_cpu": 0.81}, "generator CPU"),
        ({"api_lateness_p99": 0.051}, "api response time"),
        ({"api_lateness_p99": None}, "api response time"),
        ({"goodput": 0.2}, "sample"),
        ({"generator_throttled": 0.6}, "CPU throttling"),
        ({"api_throttled_seconds": 0.6}, "CPU throttling"),
        ({"memory": 500e6}, "memory"),
        ({"api_memory": 500e6}, "memory"),
        ({"clock_step": 0.2}, "clock"),
        ({"took": 3.5}, "step length"),
        ({"early": 70, "late": 30}, "steadiness"),
        ({"load": Step(rate=20), "arrival_lateness": 0.051}, "arrivals"),
    ],
)
def test_each_check_fails_for_its_own_reason(changes: dict[str, Any], name: str) -> None:
    assert failed(**changes) == [name]


def test_arrivals_may_queue_for_longer_than_a_step() -> None:
    assert failed(load=Step(rate=20), arrival_lateness=0.001, took=9.0) == []


def test_a_generator_with_less_than_a_core_has_less_to_use() -> None:
    half = Limits(generator_cpus=0.5)
    assert [check.name for check in checks([measured(generator_cpu=0.45)], half) if not check.passed] == [
        "generator CPU"
    ]


def test_pages_that_are_meant_to_fail_do_not_spoil_the_measurement() -> None:
    failing = replace(SETTINGS, fail=0.01)  # about one page in ten
    assert failed(failures=Counter({"502": 10}), settings=failing) == []
    assert failed(failures=Counter({"502": 10})) == ["failed pages"]


def test_an_arm_whose_failures_are_the_point_may_fail() -> None:
    arm = Arm("wsgi", "threadpool", fails=True)
    assert failed(arm=arm, failures=Counter({"504": 500}), goodput=0.0) == []


def test_a_failed_check_says_the_value_the_limit_and_the_remedy() -> None:
    check = next(check for check in checks([measured(generator_cpu=0.95)], LIMITS) if not check.passed)
    assert check.sentence == (
        "generator CPU in wsgi-threadpool-100-users-1: 0.95 cores (at most 0.8). "
        "Fewer users, or a machine with more cores to spare."
    )
