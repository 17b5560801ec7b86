from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from loadtests.analysis.validity import checks
from tests.unit.factories import SETTINGS, measured


def failed(**changes: Any) -> list[str]:
    return [check.name for check in checks([measured(**changes)], SETTINGS) if not check.passed]


def test_a_good_measurement_passes_every_check() -> None:
    assert failed() == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"failures": Counter({"502": 5})}, "failed pages"),
        ({"goodput": 0.0}, "failed pages"),
        ({"generator_cpu": 0.81}, "generator CPU"),
        ({"lateness_p99": 0.051}, "api response time"),
        ({"lateness_p99": None}, "api response time"),
        ({"took": 3.5}, "step length"),
        ({"early": 70, "late": 30}, "steadiness"),
    ],
)
def test_each_check_fails_for_its_own_reason(changes: dict[str, Any], name: str) -> None:
    assert failed(**changes) == [name]


def test_pages_that_are_meant_to_fail_do_not_spoil_the_measurement() -> None:
    failing = replace(SETTINGS, fail=0.01)  # about one page in ten
    one = measured(failures=Counter({"502": 10}))
    assert all(check.passed for check in checks([one], failing))
    assert not all(check.passed for check in checks([one], SETTINGS))


def test_a_failed_check_says_the_value_the_limit_and_the_remedy() -> None:
    check = next(check for check in checks([measured(generator_cpu=0.95)], SETTINGS) if not check.passed)
    assert check.sentence == (
        "generator CPU in wsgi-threadpool-100-users-1: 0.95 cores (at most 0.8). "
        "Fewer users, or a machine with more cores to spare."
    )
