from __future__ import annotations

import pytest

from loadtests.experiments import Arm
from loadtests.plan import NORMAL, first_page_after, plan

WSGI, ASGI = Arm("wsgi", "threadpool"), Arm("asgi", "gather")


def expected(arm: Arm, users: int) -> float:
    return max(1.0, users / 10) if arm == WSGI else 1.0


def test_targets_are_measured_one_at_a_time_in_alternating_order() -> None:
    steps = plan([WSGI, ASGI], [1, 10, 50], 2, expected, NORMAL)
    assert [(step.arm.target, step.users) for step in steps] == [
        ("wsgi", 1),
        ("asgi", 1),
        ("asgi", 10),
        ("wsgi", 10),
        ("wsgi", 50),
        ("asgi", 50),
        ("asgi", 1),
        ("wsgi", 1),
        ("wsgi", 10),
        ("asgi", 10),
        ("asgi", 50),
        ("wsgi", 50),
    ]
    assert [step.repeat for step in steps] == [0] * 6 + [1] * 6


def test_every_measurement_has_a_name_of_its_own() -> None:
    steps = plan([WSGI, ASGI], [1, 10, 50], 3, expected, NORMAL)
    assert len({step.name for step in steps}) == len(steps)


def test_a_step_is_warmed_up_and_lasts_three_times_the_response_time_it_produces() -> None:
    for step in plan([WSGI, ASGI], [1, 10, 50, 100], 1, expected, NORMAL):
        assert step.warm_up > expected(step.arm, step.users)
        assert step.window >= 3 * expected(step.arm, step.users)


def test_first_pages_are_spread_over_one_page_time_as_far_as_there_are_slots() -> None:
    starts = [first_page_after(user, 100, 10, 1.0) for user in range(100)]
    assert starts[:10] == pytest.approx([n / 10 for n in range(10)])
    assert starts[10:] == [1.0] * 90


def test_without_slots_all_users_are_spread() -> None:
    starts = [first_page_after(user, 4, None, 2.0) for user in range(4)]
    assert starts == pytest.approx([0.0, 0.5, 1.0, 1.5])
