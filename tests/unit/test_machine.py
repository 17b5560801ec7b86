from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.analysis.machine import MOST_TAKEN, Moment, between
from tests.unit.factories import HOG, QUIET

BEFORE = Moment(busy=100.0, steal=1.0, pressure=5.0, generator=10.0, generator_waited=0.5, cores=2, load_average=1.0)
AFTER = replace(BEFORE, busy=116.0, generator=14.0, generator_waited=1.0, pressure=8.0, load_average=2.5)


def test_what_nobody_of_the_lab_used_was_used_by_others() -> None:
    found = between(BEFORE, AFTER, 10.0, [6.0, 1.0], [4.0, 0.5])
    assert (found.lab, found.others, found.waited) == pytest.approx((1.1, 0.5, 0.5))
    assert (found.pressure, found.steal, found.load_average) == pytest.approx((0.3, 0.0, 2.5))
    assert found.taken == pytest.approx(0.5)
    assert found.disturbed


def test_the_labs_own_processes_may_want_more_cores_than_there_are() -> None:
    saturated = between(BEFORE, replace(AFTER, busy=119.9), 10.0, [14.0, 1.5], [30.0, 5.0])
    assert saturated.waited == pytest.approx(3.55)
    assert saturated.taken < 0.05
    assert not saturated.disturbed


def test_others_may_have_what_the_lab_does_not_want() -> None:
    """On a machine of 32 cores, of which four are busy with something else."""
    spare = between(BEFORE, replace(AFTER, busy=150.0, cores=32, generator_waited=0.52), 10.0, [6.0, 1.0], [0.05, 0.01])
    assert spare.others == pytest.approx(3.9)
    assert not spare.disturbed


def test_a_hog_on_another_core_disturbs_although_nobody_waits() -> None:
    """A run of a target on one of two cores served 33.3 pages/s of 37.0 so."""
    beside = between(BEFORE, replace(AFTER, busy=120.0), 10.0, [8.0, 1.0], [0.5, 0.1])
    assert beside.taken < MOST_TAKEN
    assert beside.disturbed


def test_a_database_server_of_the_lab_is_not_taken_for_others() -> None:
    found = replace(HOG, others=None, steal=0.02)
    assert found.taken == found.steal == pytest.approx(0.02)
    assert not found.disturbed
    assert found.words.startswith("0.02 while the lab waited for a core")


def test_steal_is_taken_whether_or_not_anybody_waits() -> None:
    stolen = between(BEFORE, replace(AFTER, steal=6.0, busy=111.0), 10.0, [6.0, 1.0], [0.0, 0.0])
    assert stolen.steal == pytest.approx(0.5)
    assert stolen.disturbed
    assert "steal 25%" in stolen.words


def test_where_nobody_says_what_was_waited_for_others_count_in_full() -> None:
    silent = replace(AFTER, pressure=None, load_average=None)
    found = between(BEFORE, silent, 10.0, [6.0, None], [0.1, None])
    assert (found.waited, found.pressure, found.load_average) == (None, None, None)
    assert found.taken == found.others == pytest.approx(0.6), "the api's CPU is then somebody else's"
    assert "load average" not in found.words


def test_figures_of_a_quiet_run_pass_and_those_beside_a_hog_do_not() -> None:
    assert QUIET.taken < MOST_TAKEN < HOG.taken
