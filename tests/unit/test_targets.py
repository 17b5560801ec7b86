from __future__ import annotations

import json
from typing import Any

import pytest

from loadtests.errors import BadInput, LabDown
from loadtests.generator import targets
from loadtests.host import topology
from loadtests.model.addresses import urls
from loadtests.model.service import GENERATOR

IDENTITY: dict[str, Any] = {
    "target": "asgi",
    "interface": "ASGI",
    "slots": None,
    "workers": 1,
    "pools": {},
    "strategies": {},
    "api": "http://api:8000/api/",
    "metrics_port": 9000,
}


def test_names_have_urls() -> None:
    assert urls("wsgi=http://wsgi:8000 asgi-4=http://127.0.0.1:9/") == {
        "wsgi": "http://wsgi:8000",
        "asgi-4": "http://127.0.0.1:9",
    }


@pytest.mark.parametrize("text", ["wsgi", "wsgi=wsgi:8000", "=http://wsgi:8000", "wsgi=https://wsgi", "WSGI=http://a"])
def test_anything_else_is_refused_with_the_variable(text: str) -> None:
    with pytest.raises(BadInput, match="TARGETS must be words like wsgi=http://wsgi:8000; one is "):
        urls(text)
    with pytest.raises(BadInput, match="TARGETS is empty"):
        urls(" ")


def test_what_the_web_ui_loads_are_services() -> None:
    services = topology.services({})
    assert urls(services[GENERATOR].environment["TARGETS"]).keys() <= services.keys()


@pytest.fixture(autouse=True)
def _asgi_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "fetch", lambda _: json.dumps(IDENTITY))
    monkeypatch.setattr(targets, "round_trip", {"http://lab:1": 0.012, "http://api:8000/api/": 0.003}.__getitem__)


def test_a_target_is_what_it_says_of_itself() -> None:
    found = targets.ask("asgi", "http://lab:1")
    assert (found.interface, found.slots, found.workers) == ("ASGI", None, 1)
    assert (found.metrics, found.api_metrics) == ("http://lab:9000", "http://api:9000")
    assert (found.round_trip, found.api_round_trip) == (0.012, 0.003)


@pytest.mark.parametrize("port", [None, "absent"])
def test_metrics_that_a_service_does_not_have_are_nowhere(port: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """TELEMETRY=off, or an api of somebody else's."""
    api = {} if port == "absent" else {"metrics_port": port}
    answers = {"http://lab:1/healthz": IDENTITY | {"metrics_port": None}, "http://api:8000/healthz": api}
    monkeypatch.setattr(targets, "fetch", lambda url: json.dumps(answers[url]))
    found = targets.ask("asgi", "http://lab:1")
    assert (found.metrics, found.api_metrics) == ("", "")


def test_a_target_that_answers_in_the_place_of_another_is_refused() -> None:
    with pytest.raises(LabDown, match=r"^at http://lab:1 the target wsgi should answer, and 'asgi' does\."):
        targets.ask("wsgi", "http://lab:1")


@pytest.mark.parametrize("answer", ["{}", "[]", "no JSON"])
def test_what_is_no_aggregator_is_refused(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "fetch", lambda _: answer)
    with pytest.raises(LabDown, match="does not answer as an aggregator"):
        targets.ask("wsgi", "http://lab:1")


def test_a_target_that_runs_elsewhere_is_as_far_away_as_it_is() -> None:
    found = targets.elsewhere("wsgi-ours", "http://lab:1")
    assert (found.interface, found.round_trip, found.api_round_trip) == ("WSGI", 0.012, 0.0)
