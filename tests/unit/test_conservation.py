"""Each law is broken by its own fault, and by nothing that an honest measurement does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from loadtests import experiments
from loadtests.analysis.conservation import LAWS, laws
from loadtests.analysis.machine import Machine
from loadtests.analysis.readings import Balance, Reading, balance
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import UNANSWERED, Page
from tests.unit.factories import ASGI, HOG, INSIDE, QUIET, SETTINGS, WSGI, measured

USERS, WINDOW = 20, 10.0
HONEST = Balance(whole=230, received=230, broken=20, cut_off=20, finished=230, cancelled=20, calls=2450)


def log(users: int = USERS, took: float = 1.0, fault: str | None = None) -> list[Page]:
    """Users in lockstep, from a page that began before the window to one that ended after it."""
    turns = int(WINDOW / took) + 1
    return [Page(turn * took - took / 2, took, fault) for turn in range(turns) for _ in range(users)]


def broken(pages: Sequence[Page] | None = None, seen: Balance | None = HONEST, **changes: Any) -> list[str]:
    """The names of the laws that such a measurement breaks, or of what is under way at its end."""
    arm, load = changes.pop("arm", ASGI), changes.pop("load", USERS)
    one = measured(arm, load, log=log() if pages is None else pages, seconds=WINDOW, balance=seen, **changes)
    return [check.name for check in laws(one) if not check.passed]


def remedy(name: str, **changes: Any) -> str:
    one = measured(ASGI, USERS, log=log(), seconds=WINDOW, balance=replace(HONEST, **changes))
    return next(check.remedy for check in laws(one) if check.name == name)


def test_an_honest_measurement_breaks_none_wherever_the_edges_of_its_window_fall() -> None:
    assert broken() == []
    assert broken(log(took=3.1)) == []
    assert broken(seen=replace(HONEST, finished=232, calls=2470)) == []  # two probes of its health, and a few calls


def test_fewer_calls_than_the_whole_pages_have_made_are_found() -> None:
    """None, one of ten, or the calls of half the pages."""
    for made in (0, 230, 1150):
        assert broken(seen=replace(HONEST, calls=made)) == ["calls"]
    assert "a cache, or a wrong page" in remedy("calls", calls=230)


def test_more_calls_than_all_pages_can_make_are_found() -> None:
    assert broken(seen=replace(HONEST, calls=2750)) == ["calls"]
    assert "more than once" in remedy("calls", calls=2750)


def test_answers_that_the_target_did_not_make_are_found() -> None:
    assert broken(seen=replace(HONEST, finished=115)) == ["pages"]
    assert "as a cache" in remedy("pages", finished=115)


def test_pages_that_nobody_asked_for_are_found() -> None:
    """Ten per cent that a client asked for again by itself."""
    assert broken(seen=replace(HONEST, finished=255)) == ["pages"]
    assert "asks again" in remedy("pages", finished=255)


@pytest.mark.parametrize("silent", ["finished", "cancelled", "calls"])
def test_a_sampler_that_is_silent_is_not_believed(silent: str) -> None:
    law, nothing = "calls" if silent == "calls" else "pages", {silent: None}
    assert broken(seen=replace(HONEST, **nothing)) == [law]  # type: ignore[arg-type]  # any of its fields
    assert "silent" in remedy(law, **nothing)


def test_a_page_that_is_there_before_its_calls_can_be_is_found() -> None:
    assert broken([*log(), Page(3.0, 0.4, None)]) == ["physical minimum"]
    assert broken([*log(), Page(3.0, 0.995, None)]) == []  # clocks tick
    one_after_the_other = replace(ASGI, strategy="sequential")
    assert broken(log(took=9.0), arm=one_after_the_other) == ["physical minimum"]
    assert broken(log(took=10.0), arm=one_after_the_other) == []


def test_a_page_that_failed_may_be_as_fast_as_it_likes() -> None:
    assert broken([*log(), Page(3.0, 0.001, "502")]) == []


def test_users_whose_pages_never_become_whole_are_missed() -> None:
    """Two of twenty whose pages hang: those that are left look as fast as before."""
    hanging = [Page(-3.0, 30.0, "504"), Page(2.0, 30.0, "504")]
    assert broken([*log(18), *hanging]) == ["users"]
    one = measured(ASGI, USERS, log=[*log(18), *hanging], seconds=WINDOW, balance=HONEST)
    [check] = [check for check in laws(one) if check.name == "users"]
    assert "18.0 of 20 users" in check.value
    assert "2 pages were not, the slowest after 30.0 s" in check.value


def test_users_whose_one_page_lasts_all_through_the_window_are_missed_although_it_becomes_whole() -> None:
    """Nothing else shows it: it is neither among the pages/s nor among the response times."""
    assert broken([*log(18), *[Page(-1.0, 12.0, None)] * 2]) == ["users"]


def test_users_whose_pages_are_only_slow_are_told_of_the_cores() -> None:
    slow, failed = [*log(18), *[Page(-1.0, 12.0, None)] * 2], [*log(18), *[Page(-1.0, 12.0, "504")] * 2]
    seen = replace(INSIDE, cpu_seconds=11.0, requests_queued=440.0)

    def said(pages: Sequence[Page], machine: Machine = replace(QUIET, lab=1.9)) -> str:  # noqa: B008
        one = measured(ASGI, USERS, log=pages, seconds=WINDOW, inside=seen, machine=machine)
        return next(check.remedy for check in laws(one) if check.name == "users")

    assert "computed on 1.10 of 2 cores, and the lab on 1.90 in all; 440 requests waited to be read" in said(slow)
    assert "something else used the machine: other processes used 0.90 of 2 cores" in said(slow, HOG)
    assert said(failed).startswith("The others waited for pages that failed or hung")


def test_users_of_pages_that_are_meant_to_fail_are_not_missed() -> None:
    pages = [*log(18), *log(2, took=1.5, fault="502")]
    assert broken(pages) == ["users"]
    assert broken(pages, settings=replace(SETTINGS, fail=0.01)) == []
    assert broken(pages, arm=replace(ASGI, fails=True)) == []
    assert broken(pages, load=LoadLevel(rate=20.0)) == []


def test_a_page_that_nobody_waited_for_to_its_end_is_found_and_its_age_said() -> None:
    pages = [*log(), Page(9.0, 121.0, UNANSWERED)]
    assert broken(pages) == ["pages under way"]
    one = measured(WSGI, USERS, log=pages, seconds=WINDOW)
    assert "1 pages had not ended when the step had to, after up to 121 s" in next(laws(one)).sentence


def test_an_arm_that_breaks_a_law_on_purpose_is_not_held_to_it() -> None:
    for name, seen in (("calls", replace(HONEST, calls=0)), ("pages", replace(HONEST, finished=0))):
        assert broken(seen=seen, arm=replace(ASGI, breaks={name: "on purpose"})) == []


def test_every_law_that_an_experiment_breaks_is_one_and_its_reason_is_said() -> None:
    arms = {arm.words: arm for experiment in experiments.catalogue().values() for arm in experiment.arms}
    reasons = [(law, why) for arm in arms.values() for law, why in arm.breaks.items()]
    assert reasons
    assert all(law in LAWS and len(why) > 20 for law, why in reasons)


def test_the_three_counts_are_taken_from_what_was_said_before_and_after() -> None:
    def said(**counts: float) -> Reading:
        return Reading({f"lab_{name}_total": count for name, count in counts.items()})

    before = said(pages_finished=5, pages_cancelled=1), said(calls=100)
    after = said(pages_finished=8, pages_cancelled=2), said(calls=140)
    faults = [None, None, "502 Bad Gateway: refused", "no answer: the connection was reset"]
    assert balance(faults, 1, before, after) == Balance(2, 3, 1, 1, 3, 1, 40)
    assert balance(faults, 1, before, (None, None)) == Balance(2, 3, 1, 1, None, None, None)
    assert balance(faults, 1, before, (said(pages_finished=2, pages_cancelled=0), None)).finished is None
