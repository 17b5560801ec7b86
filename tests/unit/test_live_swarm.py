from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from loadtests.errors import BadInput
from loadtests.live.swarm import Swarm, read, seconds
from tests.unit.factories import TARGETS
from tests.unit.live import requested

CLASSES = {"WsgiUser": TARGETS["wsgi"], "AsgiUser": TARGETS["asgi"]}
STRATEGIES = ("parallel", "gather", "sequential")
LEAST = {"user_count": ["8"], "spawn_rate": ["2"]}


def swarm(**fields: Any) -> Swarm:
    form = LEAST | {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    return read(form, requested("asgi"), CLASSES, STRATEGIES)


def test_what_the_form_does_not_name_stays_as_it_is() -> None:
    asked = swarm()
    assert (asked.users, asked.spawn_rate, asked.run_time, asked.targets) == (8, 2.0, None, ("asgi",))
    assert asked.values["strategy"] == "parallel"
    assert {name: asked.values[name] for name in asdict(requested().settings)} == asdict(requested().settings)


def test_the_whole_form_is_read() -> None:
    asked = swarm(user_classes=["AsgiUser", "WsgiUser"], run_time="1m", strategy="gather", fan_out="3", latency="0.5")
    assert (asked.run_time, asked.targets) == (60, ("wsgi", "asgi"))
    assert (asked.values["strategy"], asked.values["fan_out"], asked.values["latency"]) == ("gather", 3, 0.5)


def test_the_name_that_the_form_makes_of_latency_p99_is_understood_and_its_value_checked() -> None:
    assert swarm(latency="0.5", latency_p9_9="2").values["latency_p99"] == 2.0
    with pytest.raises(BadInput, match="LATENCY_P99 must be 0 or at least LATENCY"):
        swarm(latency="3", latency_p9_9="2")


def test_fields_that_nobody_filled_in_are_taken_as_the_form_sends_them() -> None:
    assert swarm(host="", shape_class="Default", profile="", run_time="") == swarm()
    assert swarm(host=TARGETS["asgi"].url) == swarm()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("json_file", "/home/someone/notes"),
        ("html_file", "/home/someone/notes.html"),
        ("csv_prefix", "/tmp/x"),  # noqa: S108
        ("logfile", "/tmp/x"),  # noqa: S108
        ("config_users", "{}"),
        ("host", "http://evil.example"),
        ("proxy_host", "evil.example"),
        ("master_host", "evil.example"),
        ("shape_class", "X"),
        ("profile", "x"),
        ("stop_timeout", "99999"),
        ("num_users", "1"),
        ("__class__", "x"),
        ("<script>", "x"),
    ],
)
def test_nothing_else_is_taken(field: str, value: str) -> None:
    with pytest.raises(BadInput, match=r"cannot be set here; it is .* The form takes user_count, spawn_rate,"):
        swarm(**{field: value})


def test_a_field_may_not_hide_behind_another_of_its_name() -> None:
    with pytest.raises(BadInput, match="HOST cannot be set here"):
        swarm(host=["", "http://evil.example"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"user_classes": "Nope"}, "USER_CLASSES must be one or more of WsgiUser, AsgiUser; it has 'Nope'"),
        ({"user_classes": ["WsgiUser", "Nope"]}, "USER_CLASSES must be one or more of WsgiUser, AsgiUser"),
        ({"user_count": ""}, "USER_COUNT must be a whole number from 1 to 10000; it is ''"),
        ({"user_count": "20001", "user_classes": list(CLASSES)}, "USER_COUNT must be a whole number from 1 to 20000"),
        ({"spawn_rate": "0"}, "SPAWN_RATE must be a number from 0.01 to 10000"),
        ({"spawn_rate": "inf"}, "SPAWN_RATE must be a number from 0.01 to 10000"),
        ({"spawn_rate": "nan"}, "SPAWN_RATE must be a number from 0.01 to 10000"),
        ({"latency": "11"}, "LATENCY must be a number from 0 to 10; it is '11'"),
        ({"strategy": "telepathy"}, "STRATEGY must be one of parallel, gather, sequential"),
        ({"run_time": "soon"}, "RUN_TIME must be a time such as 20, 20s, 3m or 1h20m; it is 'soon'"),
        ({"run_time": "9" * 400 + "h"}, "RUN_TIME must be a time"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_can(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        swarm(**fields)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"), [("", None), ("20", 20), ("20s", 20), ("3m", 180), ("2h", 7200), ("3h30m10s", 12610)]
)
def test_a_run_time_is_read_as_the_form_explains_it(text: str, expected: int | None) -> None:
    assert seconds(text) == expected
