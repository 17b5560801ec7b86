from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.errors import BadInput, LabDown
from loadtests.generator import targets
from loadtests.generator.targets import check_named, urls
from loadtests.host.processes import read_services
from loadtests.model.service import GENERATOR

IDENTITY: dict[str, Any] = {
    "target": "asgi",
    "interface": "ASGI",
    "slots": None,
    "workers": 1,
    "pools": {},
    "strategies": {},
}


def test_names_have_urls() -> None:
    assert urls("wsgi=http://wsgi:8000 asgi-4=http://127.0.0.1:9/") == {
        "wsgi": "http://wsgi:8000",
        "asgi-4": "http://127.0.0.1:9",
    }


@pytest.mark.parametrize("text", ["wsgi", "wsgi=wsgi:8000", "=http://wsgi:8000", "wsgi=https://wsgi", "WSGI=http://a"])
def test_anything_else_is_refused_with_the_variable(text: str) -> None:
    with pytest.raises(BadInput, match="WITNESSES must be words like wsgi=http://wsgi:8000; one is "):
        urls(text, "WITNESSES")
    with pytest.raises(BadInput, match="TARGETS is empty"):
        urls(" ")


def test_a_service_without_a_url_is_refused_with_what_to_add() -> None:
    check_named(["wsgi"], {"wsgi": "http://wsgi:9000", "api": "http://api:9000"}, "WITNESSES")
    said = "WITNESSES of the service locust in compose.yaml must give a URL to b, c; add it there"
    with pytest.raises(BadInput, match=said):
        check_named(["a", "b", "c"], {"a": "http://a:9000"}, "WITNESSES")


def test_every_target_of_compose_yaml_has_a_witness_and_is_a_service(root: Path) -> None:
    services = read_services((root / "compose.yaml").read_text(), {})
    environment = services[GENERATOR].environment
    asked = urls(environment["TARGETS"]) | urls(environment["OTHER_TARGETS"])
    assert asked.keys() <= services.keys()
    assert urls(environment["WITNESSES"]).keys() == asked.keys() - {"sleepers"} | {"api"}


@pytest.fixture(autouse=True)
def _asgi_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "fetch", lambda _: json.dumps(IDENTITY))


def test_a_target_is_what_it_says_of_itself() -> None:
    found = targets.ask("asgi", "http://lab:1")
    assert (found.interface, found.slots, found.workers) == ("ASGI", None, 1)


def test_a_target_that_answers_in_the_place_of_another_is_refused() -> None:
    with pytest.raises(LabDown, match=r"^at http://lab:1 the target wsgi should answer, and 'asgi' does\."):
        targets.ask("wsgi", "http://lab:1")


@pytest.mark.parametrize("answer", ["{}", "[]", "no JSON"])
def test_what_is_no_aggregator_is_refused(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "fetch", lambda _: answer)
    with pytest.raises(LabDown, match="does not answer as an aggregator"):
        targets.ask("wsgi", "http://lab:1")
