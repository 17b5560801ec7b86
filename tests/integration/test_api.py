from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import pytest


@pytest.fixture
def api(lab: Mapping[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab["api"], timeout=30, trust_env=False) as client:
        yield client


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
    assert max(times) > 2 * min(times)


def test_a_share_of_the_calls_fails(api: httpx.Client) -> None:
    statuses = [api.get("/api/?latency=0&fail=0.5").status_code for _ in range(60)]
    assert set(statuses) == {200, 503}


def test_a_call_that_hangs_never_answers_and_counts_as_abandoned_when_its_caller_leaves(
    api: httpx.Client, lab: Mapping[str, str]
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        api.get("/api/?hang=1&latency=0", timeout=0.3)
    with httpx.Client(trust_env=False) as client:
        metrics = client.get(f"{lab['api witness']}/metrics").text
    assert 'lab_calls_total{how="abandoned"} 0.0' not in metrics


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
