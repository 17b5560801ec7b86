from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtests import experiments, knobs
from loadtests.live.presets import PRESETS
from loadtests.live.wanted import BadField, changes, read
from tests.unit.live import wanted

TARGETS = ("wsgi", "asgi")
STRATEGIES = ("parallel", "gather", "sequential", "threadpool")
GOOD = {
    "users": "100",
    "targets": ["asgi", "wsgi"],
    "strategy": "parallel",
    "fan_out": "10",
    "latency": "1",
    "jitter": "0",
    "fail": "0",
    "work": "0",
}


def test_what_the_page_sends_is_read_in_the_order_of_the_lab() -> None:
    assert read(GOOD, TARGETS, STRATEGIES) == wanted("wsgi", "asgi")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("users", "0", "USERS must be a whole number from 1 to 10000; it is '0'."),
        ("users", "ten", "USERS must be a whole number"),
        ("users", "", "USERS must be a whole number"),
        ("fan_out", "1.5", "FAN_OUT must be a whole number from 1 to 100"),
        ("latency", "-1", "LATENCY must be a number from 0 to 10"),
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
    before = wanted("wsgi", "asgi")
    slower = replace(before, users=50, settings=replace(before.settings, latency=0.5))
    assert changes(before, slower) == ["users 50", "latency 0.5"]
    assert changes(before, replace(before, targets=("asgi",), strategy="gather")) == ["asgi", "gather"]
    assert changes(before, before) == []


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.experiment)
def test_a_preset_is_named_after_an_experiment_and_asks_for_what_is_allowed(preset: Any) -> None:
    assert preset.experiment in experiments.catalogue()
    asked = {**GOOD, **{name: str(value) for name, value in preset.knobs.items()}}
    assert read(asked, TARGETS, STRATEGIES)
    assert set(preset.knobs) <= {"users", "strategy", *(knob.name for knob in knobs.KNOBS)}
