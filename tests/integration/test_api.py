from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from loadtests.analysis.readings import Reading, counted, counted_by_worker, grown
from loadtests.analysis.server_metrics import inside
from loadtests.generator import sampler
from loadtests.model.server_metrics import LATENESS
from tests.integration.waiting import read, user_who_leaves, wait_until
from tests.processes import running


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


def test_the_figures_are_those_of_all_workers_and_one_that_is_killed_is_told(logs: Path) -> None:
    calls = 40
    with running(["api"], logs, API_WORKERS="2", LATENCY="0.2") as runtime:
        url, metrics = (of["api"] for of in (runtime.published(), runtime.metrics))

        def seen() -> Reading:
            return sampler.read(metrics) or Reading()

        def workers() -> dict[str, float]:
            return seen().by_label("lab_worker_calls_in_flight")

        def call() -> httpx.Response:
            return httpx.get(f"{url}/api/", trust_env=False)  # on a connection of its own, so that both get some

        wait_until(lambda: len(workers()) == 2)
        before = seen()
        with ThreadPoolExecutor(calls) as users:
            answered = [user.result() for user in [users.submit(call) for _ in range(calls)]]
        assert all(answer.status_code == 200 for answer in answered)
        wait_until(lambda: grown(before, seen(), "lab_calls_total") == calls)
        after = seen()
        each = [after.by_label("lab_worker_calls_total").get(process, 0.0) for process in workers()]
        assert sum(each) == calls, "besides them nobody asks"
        late = counted_by_worker(before, after, LATENESS).values()
        assert sum(max(counts.values()) for counts in late) == max((counted(before, after, LATENESS) or {}).values())
        psutil.Process(int(killed := min(workers()))).kill()
        wait_until(lambda: killed not in workers() and len(workers()) == 2)
        told = inside([], [after, seen()]).api_workers
        assert [worker.process for worker in told if worker.ended] == [killed]


@pytest.mark.parametrize(("workers", "sequences"), [("1", 1), ("2", 2)])
def test_one_worker_repeats_the_sequence_of_its_seed_and_several_do_not_share_one(workers: str, sequences: int) -> None:
    code = "from services.api.app import RANDOM; print([RANDOM.random() for _ in range(3)])"
    command, environment = [sys.executable, "-c", code], {**os.environ, "WORKERS": workers}
    drawn = {subprocess.check_output(command, cwd=Path(__file__).parents[2], env=environment) for _ in range(2)}
    assert len(drawn) == sequences
