from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest

from loadtests.analysis.readings import grown
from tests.integration.waiting import read, user_who_leaves, wait_until


@pytest.fixture
def api(clients: Mapping[str, httpx.Client]) -> httpx.Client:
    return clients["api"]


def test_it_waits_and_then_answers(api: httpx.Client) -> None:
    answer = api.get("/api/?task_id=3&latency=0.2")
    assert answer.json() == {"message": "Hello World!", "task_id": "3"}
    assert answer.elapsed.total_seconds() >= 0.2


def test_without_a_query_its_defaults_hold(api: httpx.Client) -> None:
    answer = api.get("/api/")
    assert answer.json() == {"message": "Hello World!", "task_id": ""}
    assert answer.elapsed.total_seconds() >= 0.05


def test_jitter_makes_calls_differ(api: httpx.Client) -> None:
    times = [api.get("/api/?latency=0&jitter=0.2").elapsed.total_seconds() for _ in range(12)]
    assert max(times) - min(times) > 0.05


def test_a_share_of_the_calls_fails(api: httpx.Client) -> None:
    statuses = [api.get("/api/?latency=0&fail=0.5").status_code for _ in range(60)]
    assert set(statuses) == {200, 503}


def test_a_call_that_hangs_never_answers_and_counts_as_abandoned_when_its_caller_leaves(
    lab: Mapping[str, str],
) -> None:
    wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 0)
    before = read(lab, "api")
    with user_who_leaves(f"{lab['api']}/api/?hang=1&latency=0"):
        wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 1)
    wait_until(lambda: grown(before, read(lab, "api"), 'lab_calls_total{how="abandoned"}') == 1)
    assert grown(before, read(lab, "api"), 'lab_calls_total{how="answered"}') == 0


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("latency=-1", "latency"),
        ("latency=x", "latency"),
        ("jitter=11", "jitter"),
        ("fail=1.5", "fail"),
        ("hang=nan", "hang"),
        ("latency=1&latency=2", "latency"),
        ("lateny=1", "lateny"),
        ("task_id=" + "x" * 65, "task_id"),
    ],
)
def test_a_bad_query_is_refused_by_name(api: httpx.Client, query: str, named: str) -> None:
    answer = api.get(f"/api/?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["parameter"] == named


def test_other_paths_and_methods_are_refused(api: httpx.Client) -> None:
    assert api.get("/").status_code == 404
    assert api.post("/api/").status_code == 405
