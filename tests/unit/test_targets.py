from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.errors import BadInput
from loadtests.runtime import GENERATOR
from loadtests.runtime.processes import read_services
from loadtests.targets import check_named, urls


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
    check_named(["wsgi"], {"wsgi": "http://wsgi:9000", "api": "http://api:9000"}, "WITNESSES", 9000)
    said = "WITNESSES of the service locust in compose.yaml must have b=http://b:9000 c=http://c:9000; add it there"
    with pytest.raises(BadInput, match=said):
        check_named(["a", "b", "c"], {"a": "http://a:9000"}, "WITNESSES", 9000)


def test_every_target_of_compose_yaml_has_a_witness_and_is_a_service(root: Path) -> None:
    services = read_services((root / "compose.yaml").read_text(), {})
    environment = services[GENERATOR].environment
    asked = urls(environment["TARGETS"]) | urls(environment["OTHER_TARGETS"])
    assert asked.keys() <= services.keys()
    assert urls(environment["WITNESSES"]).keys() == asked.keys() - {"sleepers"} | {"api"}
