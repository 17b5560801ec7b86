from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtests import experiments
from loadtests.live.presets import PRESETS
from loadtests.live.requested import USERS, BadField, changes, read
from loadtests.live.second import Second, step
from loadtests.live.sentence import Shown
from loadtests.model import knobs
from tests.unit.factories import target
from tests.unit.live import load, requested, second

TARGETS = ("wsgi", "asgi")
STRATEGIES = ("parallel", "gather", "sequential", "threadpool")
GOOD = {
    "users": "100",
    "targets": ["asgi", "wsgi"],
    "strategy": "parallel",
    "fan_out": "10",
    "latency": "1",
    "jitter": "0",
    "latency_p99": "0",
    "correlated": "0",
    "fail": "0",
    "work": "0",
}


def test_what_the_page_sends_is_read_in_the_order_of_the_lab() -> None:
    assert read(GOOD, TARGETS, STRATEGIES) == requested("wsgi", "asgi")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("users", "0", "USERS must be a whole number from 1 to 10000; it is '0'."),
        ("users", "ten", "USERS must be a whole number"),
        ("users", "", "USERS must be a whole number"),
        ("fan_out", "1.5", "FAN_OUT must be a whole number from 1 to 100"),
        ("latency", "-1", "LATENCY must be a number from 0 to 10"),
        ("correlated", "1", "CORRELATED=1 has no effect on a constant latency"),
        ("latency_p99", "0.5", "LATENCY_P99 must be 0 or at least LATENCY, the median"),
        ("latency", "nan", "LATENCY must be a number from 0 to 10"),
        ("fail", "2", "FAIL must be a number from 0 to 1"),
        ("strategy", "telepathy", "STRATEGY must be one of parallel, gather"),
        ("targets", [], "TARGETS must be one or more of wsgi, asgi."),
        ("targets", ["<script>"], "TARGETS must be one or more of wsgi, asgi."),
        ("targets", "wsgi", "TARGETS must be one or more"),
    ],
)
def test_bad_input_is_refused_with_its_control_and_what_is_allowed(field: str, value: Any, said: str) -> None:
    with pytest.raises(BadField, match=said.replace("(", r"\(")) as refused:
        read(GOOD | {field: value}, TARGETS, STRATEGIES)
    assert refused.value.field == field


@pytest.mark.parametrize("said", [None, [], "users=1", {}])
def test_what_is_no_set_of_controls_is_refused(said: object) -> None:
    with pytest.raises(BadField):
        read(said, TARGETS, STRATEGIES)


def test_a_mark_says_what_was_turned() -> None:
    before = requested("wsgi", "asgi")
    slower = replace(before, users=50, settings=replace(before.settings, latency=0.5))
    assert changes(before, slower) == ["users 50", "latency 0.5"]
    assert changes(before, replace(before, targets=("asgi",), strategy="gather")) == ["asgi", "gather"]
    assert changes(before, before) == []


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.experiment)
def test_a_preset_is_named_after_an_experiment_and_asks_for_what_is_allowed(preset: Any) -> None:
    assert preset.experiment in experiments.catalogue()
    asked = {
        **GOOD,
        **{name: str(value) for name, value in preset.values([target("wsgi", 12), target("asgi", None)]).items()},
    }
    assert read(asked, TARGETS, STRATEGIES)
    assert set(preset.knobs) <= {"users", "strategy", *(knob.name for knob in knobs.KNOBS)}


def test_the_preset_with_as_many_users_as_slots_counts_those_of_the_targets() -> None:
    [preset] = [one for one in PRESETS if one.experiment == "slots"]
    assert preset.values([target("wsgi", 12), target("asgi", None)])["users"] == 12
    assert preset.values([target("wsgi", 10**9)])["users"] == USERS.maximum
    assert preset.values([target("asgi", None)])["users"] == 10, "nobody queues there anyway"


def shows(experiment: str, wsgi: Second, asgi: Second, users: int = 100) -> bool:
    [preset] = [one for one in PRESETS if one.experiment == experiment]
    both = [
        Shown("wsgi", 10, step(60.0, [replace(wsgi, users=users)] * 5)),
        Shown("asgi", None, step(60.0, [replace(asgi, users=users)] * 5)),
    ]
    assert not preset.is_true(both[:1]), "of one target alone nothing can be said about both"
    return preset.is_true(both)


@pytest.mark.parametrize(
    ("experiment", "users", "wsgi", "asgi"),
    [
        ("external-concurrency", 100, second(10, 10.0), second(99, 1.0, pages_in_flight=100)),
        ("slots", 10, second(10, 1.0), second(9, 1.1)),
        ("api-latency", 20, second(300, 0.06), second(200, 0.1)),
        ("fan-out", 40, second(5, 8.0), second(20, 2.1, pages_in_flight=40)),
        ("cpu-bound", 40, second(40, 1.0), second(35, 1.1)),
        ("timeouts", 50, second(load=load(18, refused=2)), second(load=load(80, refused=8))),
    ],
)
def test_a_presets_sentence_is_said_when_the_figures_show_it_and_not_before(
    experiment: str, users: int, wsgi: Second, asgi: Second
) -> None:
    assert shows(experiment, wsgi, asgi, users)
    nothing_yet = second(0, pages_in_flight=0)
    if experiment != "cpu-bound":  # which is true of nothing as well; it waits until the lines have settled
        assert not shows(experiment, nothing_yet, nothing_yet, users)


def test_nobody_is_said_not_to_queue_while_an_old_queue_drains() -> None:
    assert not shows("slots", second(10, 9.0), second(10, 1.0), users=10)
    assert not shows("slots", second(3, 1.0), second(10, 1.0), users=10)


def test_pages_of_both_are_compared_where_both_are_loaded() -> None:
    assert not shows("external-concurrency", second(10, 1.0), second(10, 1.0), users=10)
    assert not shows("cpu-bound", second(90, 0.1), second(40, 1.0))
