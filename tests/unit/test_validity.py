from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from loadtests.analysis.statistics import Measured
from loadtests.analysis.validity import Limits, checks
from loadtests.analysis.verdict import WHY
from loadtests.model.experiment import Arm
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import Page
from loadtests.model.server_metrics import Inside, Worker
from tests.unit.factories import HOG, QUIET, SETTINGS, generator, measured

LIMITS = Limits(memory={"wsgi": 512_000_000, "api": 512_000_000, "locust": 512_000_000}, generator_cpus=1.0)


# Five users, page after page, in a window of ten seconds.
PAGES = [Page(turn + user / 10 - 0.5, 1.0, None) for turn in range(11) for user in range(5)]
WARMING_UP = [page._replace(took=1.0 + max(0.0, 5 - page.began) / 8) for page in PAGES]
STOPPED = [page._replace(took=4.0) if 3 < page.ended < 6 else page for page in PAGES if not 4 < page.began < 6]


def changed(**changes: Any) -> Measured:
    within = {name: changes.pop(name) for name in list(changes) if name in Inside.__slots__}
    one = measured(**changes)
    return replace(one, inside=replace(one.inside, **within))


def failed(**changes: Any) -> list[str]:
    return [check.name for check in checks([changed(**changes)], LIMITS) if not check.passed]


def test_an_interruption_is_not_hidden_by_the_pages_that_it_made_slow() -> None:
    """Users got no page for the first second: the mean page was in the target for 0.64 s, the median for 0.35."""
    ends = [1 + 1.4 * number / 150 for number in range(150)]
    log = [
        Page(end - (1 if number < 40 else 0.35), 1 if number < 40 else 0.35, None) for number, end in enumerate(ends)
    ]
    stopped = changed(load=40, seconds=2.4, goodput=62.5, took=0.35, log=log, settings=replace(SETTINGS, latency=0.2))
    stopped = replace(stopped, inside=replace(stopped.inside, pages_in_flight=40.0))
    assert "interruption" in [check.name for check in checks([stopped], LIMITS) if not check.passed]


def test_a_good_measurement_passes_every_check() -> None:
    assert failed() == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"failures": Counter({"502": 5})}, "failed pages"),
        ({"goodput": 0.0}, "sample"),
        ({"generators": generator(0.81)}, "generator CPU"),
        ({"machine": HOG}, "machine"),
        ({"api_lateness_p99": 0.051}, "api response time"),
        ({"api_lateness_p99": None}, "api response time"),
        ({"goodput": 0.2}, "sample"),
        ({"generators": generator(throttled=0.6)}, "CPU throttling"),
        ({"api_throttled_seconds": 0.6}, "CPU throttling"),
        ({"memory": 500e6}, "memory"),
        ({"api_memory": 500e6}, "memory"),
        ({"memory_limited": 500e6}, "memory"),
        ({"api_memory_limited": 500e6}, "memory"),
        ({"generators": generator(memory=500_000_000)}, "memory"),
        ({"generators": generator(clock_step=0.2)}, "clock"),
        ({"took": 10.5}, "step length"),
        ({"log": WARMING_UP, "load": 5}, "steadiness"),
        ({"log": STOPPED, "load": 5}, "interruption"),
        ({"load": LoadLevel(rate=20), "generators": generator(lateness=0.051)}, "arrivals"),
    ],
)
def test_each_check_fails_for_its_own_reason(changes: dict[str, Any], name: str) -> None:
    assert failed(**changes) == [name]


def test_causes_come_before_what_they_cause_over_the_whole_run() -> None:
    first, later = measured(generators=generator(0.95)), measured(load=50, machine=HOG)
    lawless = measured(load=10, failures=Counter({"502": 5}))
    names = [check.name for check in checks([first, later, lawless], LIMITS) if not check.passed]
    assert names == ["failed pages", "machine", "generator CPU"]


def test_arrivals_may_queue_for_longer_than_a_step() -> None:
    assert failed(load=LoadLevel(rate=20), generators=generator(lateness=0.001), took=9.0) == []


def memory_checks(limits: Limits, **said: Any) -> list[str]:
    return [check.value for check in checks([changed(**said)], limits) if check.name == "memory"]


def test_memory_is_what_the_limit_counts_and_else_what_the_processes_take() -> None:
    both = {"memory": 60e6, "memory_limited": 90e6, "api_memory": 30e6}
    assert memory_checks(LIMITS, **both) == ["wsgi used 90.0 MB, 18% of its limit", "api used 30.0 MB, 6% of its limit"]
    assert memory_checks(Limits(), **both) == ["wsgi used 60.0 MB", "api used 30.0 MB"]
    assert memory_checks(LIMITS, memory=None, api_memory=None) == []


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"memory_limited": 500e6}, "AGGREGATOR_MEMORY="),
        ({"api_memory_limited": 500e6}, "API_MEMORY="),
        ({"generators": generator(memory=500_000_000)}, "LOCUST_MEMORY="),
        ({"generators": generator(throttled=0.6)}, "LOCUST_CPUS="),
        ({"api_throttled_seconds": 0.6}, "API_CPUS="),
    ],
)
def test_the_remedy_names_the_variable_of_the_service_that_was_short(changes: dict[str, Any], variable: str) -> None:
    (check,) = (check for check in checks([changed(**changes)], LIMITS) if not check.passed)
    assert variable in check.remedy


def test_a_generator_with_less_than_a_core_has_less_to_use() -> None:
    half = Limits(generator_cpus=0.5)
    assert [check.name for check in checks([measured(generators=generator(0.45))], half) if not check.passed] == [
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
    check = next(check for check in checks([measured(generators=generator(0.95))], LIMITS) if not check.passed)
    assert check.sentence == (
        "WSGI threadpool at 100 users: 0.950 cores (check of generator CPU: at most 0.8). "
        "GENERATORS=2, on a machine with a core to spare for each; or fewer users."
    )


def test_each_check_has_a_headline_of_plain_words() -> None:
    open_load = measured(load=LoadLevel(rate=100.0), generators=generator(lateness=0.0), machine=QUIET)
    for check in checks([measured(machine=QUIET), open_load], LIMITS):
        assert check.headline.removeprefix("No answer: ") in WHY.values(), check.name


@pytest.mark.parametrize(
    ("limits", "changes", "remedy"),
    [
        (LIMITS, {}, "or measure on a machine with more cores."),
        (LIMITS, {"api_throttled_seconds": 0.6}, "raise its CPU limit, which held it back (API_CPUS=)."),
        (LIMITS, {"machine": HOG}, "something else used the machine (other processes used 0.90 of 2 cores"),
        (LIMITS, {"machine": HOG, "api_throttled_seconds": 0.6}, "raise its CPU limit, which held it back"),
        (Limits(contained=False), {"machine": HOG}, "steal 0%): stop it, then run again."),
        (Limits(contained=False), {"machine": QUIET}, "or measure on a machine with more cores."),
        (Limits(contained=False), {"api_throttled_seconds": 0.2}, "or measure on a machine with more cores."),
    ],
)
def test_a_remedy_fits_what_was_seen(limits: Limits, changes: dict[str, Any], remedy: str) -> None:
    [check] = [
        check
        for check in checks([changed(api_lateness_p99=0.2, **changes)], limits)
        if check.name == "api response time"
    ]
    assert remedy in check.remedy
    assert ("API_CPUS" in check.remedy) <= limits.contained


@pytest.mark.parametrize("quick", [True, False])
def test_quick_is_to_be_left_out_only_where_it_is_there(quick: bool) -> None:  # noqa: FBT001
    [check] = [check for check in checks([changed(took=11.0)], replace(LIMITS, quick=quick)) if not check.passed]
    assert check.name == "step length"
    assert ("QUICK" in check.remedy) == quick


def test_no_variable_is_named_that_limits_nothing() -> None:
    wrong = changed(
        load=LoadLevel(rate=20),
        generators=generator(lateness=0.2, throttled=6.0),
        api_throttled_seconds=6.0,
        api_lateness_p99=0.2,
    )
    remedies = " ".join(check.remedy for check in checks([wrong], Limits(contained=False)) if not check.passed)
    assert "_CPUS" not in remedies
    assert "has a CPU limit that is too low" in remedies


def test_an_api_whose_one_worker_computes_all_the_time_is_to_have_more_of_them() -> None:
    late = {"api_lateness_p99": 0.2, "api_workers": (Worker("1", 10, 1, 1), Worker("2", 10, 1, 1))}
    spare = replace(QUIET, cores=8)
    for changes, said in (
        (
            {"api_cpu_seconds": 19.0, "machine": spare},
            "workers (2) computed on 0.950 cores: raise API_WORKERS=",
        ),
        ({"api_cpu_seconds": 5.0, "machine": spare}, "ask for fewer pages"),
        ({"api_cpu_seconds": 19.0, "machine": replace(QUIET, lab=1.5)}, "ask for fewer pages"),
    ):
        (check,) = (check for check in checks([changed(**late | changes)], LIMITS) if not check.passed)
        assert said in check.remedy
        assert "in the latest of its 2 workers" in check.value
