from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from loadtests.analysis.capacity import predict
from loadtests.experiments import find
from loadtests.generator.plan import NORMAL, first_page_after, plan
from loadtests.model.experiment import Arm
from loadtests.model.load_level import LoadLevel, rates, shaped, turned, users
from loadtests.model.measurement import FEWEST_PAGES, Measurement
from loadtests.model.prediction import Deployment, Prediction
from loadtests.model.settings import Settings

PLAIN = Settings(fan_out=10, latency=1.0, jitter=0.0, fail=0.0)
WSGI, ASGI = Arm("wsgi", "threadpool"), Arm("asgi", "gather")


def expected(arm: Arm, step: LoadLevel, settings: Settings) -> Prediction:
    return predict(settings, arm.strategy, Deployment(10 if arm == WSGI else None), step)


def planned(arms: list[Arm], steps: tuple[LoadLevel, ...], repeats: int) -> list[Measurement]:
    experiment = replace(find("external-concurrency"), arms=tuple(arms), levels=steps, repeats=repeats)
    return plan(experiment, PLAIN, expected, NORMAL)


def test_targets_are_measured_one_at_a_time_in_alternating_order() -> None:
    steps = planned([WSGI, ASGI], users(1, 10, 50), 2)
    assert [(step.arm.target, step.level.users) for step in steps] == [
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
    steps = planned([WSGI, ASGI], users(1, 10, 50), 3)
    assert len({step.name for step in steps}) == len(steps)


def test_a_step_is_warmed_up_by_a_page_lasts_longer_than_the_response_time_it_produces_and_waits_for_its_end() -> None:
    for step in planned([WSGI, ASGI], users(1, 10, 50, 100), 1):
        predicted = expected(step.arm, step.level, step.settings)
        assert step.warm_up > predicted.page_time
        assert step.window >= 1.2 * predicted.response_time
        assert step.drain == pytest.approx(predicted.response_time)


def test_a_step_of_few_users_holds_pages_enough_for_a_measurement_however_long_they_take() -> None:
    for number in (1, 2):
        for step in planned([Arm("wsgi", "sequential")], users(number), 1):
            assert number * step.window / expected(step.arm, step.level, step.settings).response_time > FEWEST_PAGES


def test_a_window_holds_whole_turns_so_that_users_in_lockstep_are_counted_as_often_as_they_ask() -> None:
    """In 4.5 turns each of 100 users ends four pages or five: 107 pages/s were measured where 100 users ask for 100."""
    for step in planned([WSGI, ASGI], users(1, 10, 50, 100), 1):
        assert step.window == pytest.approx(round(step.window / step.turn) * step.turn)
        assert step.whole_turns(step.window * 1.005) == pytest.approx(step.window), "closed a moment late"


@pytest.mark.parametrize("step", [LoadLevel(users=10), LoadLevel(rate=5)], ids=["closed", "open"])
def test_pages_that_fail_late_fail_within_the_step(step: LoadLevel) -> None:
    hanging = Deployment(None, call_timeout=30.0, hang=0.01)

    def expected(arm: Arm, step: LoadLevel, settings: Settings) -> Prediction:
        return predict(settings, arm.strategy, hanging, step)

    [planned] = plan(replace(find("external-concurrency"), arms=(ASGI,), levels=(step,)), PLAIN, expected, NORMAL)
    assert planned.warm_up > 30
    assert planned.window == pytest.approx(1.5 * 30)


@pytest.mark.parametrize(
    "step", [LoadLevel(users=100), LoadLevel(rate=20), LoadLevel(rate=50)], ids=["closed", "open", "overloaded"]
)
def test_pages_of_which_none_is_whole_do_not_make_a_step_endless(step: LoadLevel) -> None:
    too_slow = Deployment(10, call_timeout=0.5)

    def expected(arm: Arm, step: LoadLevel, settings: Settings) -> Prediction:
        return predict(settings, arm.strategy, too_slow, step)

    [planned] = plan(replace(find("external-concurrency"), arms=(WSGI,), levels=(step,)), PLAIN, expected, NORMAL)
    assert planned.window < 20
    assert planned.seconds < 40


def test_arrivals_that_a_target_cannot_serve_are_given_the_time_to_drain() -> None:
    below, above = planned([WSGI], rates(5, 20), 1)
    assert below.window == above.window == NORMAL.window
    assert below.drain == pytest.approx(1.0)
    assert above.drain == pytest.approx(1.0 + (20 / 10 - 1) * (above.warm_up + above.window))


def test_what_an_arm_and_a_step_turn_is_measured_at_that_value() -> None:
    slow = Arm("asgi", "gather", "one call", knobs={"fan_out": 1})
    first, second = planned([slow], turned(10, "latency", 0.1, 2.0), 1)
    assert (first.settings.fan_out, first.settings.latency, second.settings.latency) == (1, 0.1, 2.0)
    assert first.name == "asgi-gather-one-call-10-users-latency-0.1-1"
    assert second.window >= 2 * 2.0


def test_first_pages_come_at_random_within_one_page_time_as_far_as_there_are_slots() -> None:
    random = Random(1)
    starts = [first_page_after(user, 100, 10, 1.0, random) for user in range(100)]
    assert len(set(starts[:10])) == 10
    assert all(0 <= start < 1 for start in starts[:10])
    assert starts[10:] == [1.0] * 90
    without_slots = [first_page_after(user, 400, None, 2.0, random) for user in range(400)]
    assert min(without_slots) < 0.1
    assert 1.9 < max(without_slots) < 2


def test_all_arms_meet_the_same_random_load_and_each_repeat_another() -> None:
    steps = planned([WSGI, ASGI], users(10), 2)
    numbers = {(step.arm.target, step.repeat): step.random().random() for step in steps}
    assert numbers["wsgi", 0] == numbers["asgi", 0] != numbers["wsgi", 1]


def test_users_who_think_are_warmed_up_for_longer_and_said_to() -> None:
    [plain, thinking] = (planned([ASGI], shaped(users(10), think, ""), 1)[0] for think in (None, 3.0))
    assert thinking.warm_up == plain.warm_up + 3
    assert (plain.level.name, thinking.level.name) == ("10 users", "10 users who think 3 s")
    assert thinking.name == "asgi-gather-10-users-think-3-1"


def test_arrivals_that_are_not_at_random_are_said_to_be_so() -> None:
    [random, even] = (shaped(rates(20), None, shape)[0] for shape in ("", "even"))
    assert (random.name, even.name) == ("20 pages/s", "20 pages/s (even)")
    assert (random.slug, even.slug) == ("20-per-second", "20-per-second-even")
