from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.waiting import PATIENCE, user_who_leaves, wait_until
from tests.processes import running

every_kind = pytest.mark.parametrize("kind", ["threads", "tasks"])


@pytest.fixture(scope="module")
def sleepers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        running(["sleepers"], tmp_path_factory.mktemp("sleepers")) as runtime,
        httpx.Client(base_url=runtime.published()["sleepers"], timeout=PATIENCE, trust_env=False) as client,
    ):
        yield client


def crowds() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if is_crowd(child)]


def is_crowd(process: psutil.Process) -> bool:
    try:
        return "services.crowd" in process.cmdline()
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return False


@every_kind
def test_a_crowd_sleeps_at_the_same_time_and_is_gone_afterwards(sleepers: httpx.Client, kind: str) -> None:
    answer = sleepers.get("/", params={"kind": kind, "number": 100, "seconds": 1}).json()
    assert (answer["kind"], answer["number"], answer["started"]) == (kind, 100, 100)
    assert answer["at_once"] == 100
    assert 0 < answer["seconds_to_start"] < 1 <= answer["seconds_to_end"]
    assert answer["stopped_by"] is None
    assert answer["memory_bytes"] == answer["memory_peak_bytes"] - answer["memory_before_bytes"] > 0
    assert answer["bytes_per_unit"] == pytest.approx(answer["memory_bytes"] / 100)
    assert crowds() == []


def test_a_task_takes_less_memory_than_a_thread(sleepers: httpx.Client) -> None:
    threads, tasks = (
        sleepers.get("/", params={"kind": kind, "number": number, "seconds": 1}).json()["bytes_per_unit"]
        for kind, number in (("threads", 500), ("tasks", 10_000))
    )
    assert 500 < tasks < 5_000 < threads


@every_kind
def test_the_stack_and_the_garbage_collector_can_be_chosen(sleepers: httpx.Client, kind: str) -> None:
    answer = sleepers.get("/", params={"kind": kind, "number": 20, "seconds": 0, "stack": 65536, "gc": "off"}).json()
    assert (answer["started"], answer["gc"]) == (20, "off")
    assert answer["stack_bytes"] == (65536 if kind == "threads" else None)


def test_what_could_not_be_started_is_said_with_the_reason(root: Path) -> None:
    """A gigabyte of address space has no room for 1,000 stacks of 64 MB."""
    crowd = f"ulimit -v 1000000; exec {sys.executable} -m services.crowd threads 1000 0.2 64000000 on"
    ended = subprocess.run(["sh", "-c", crowd], cwd=root, capture_output=True, text=True, check=True)  # noqa: S607
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["stopped_by"] == "RuntimeError: can't start new thread"
    assert 0 < said["at_once"] <= said["started"] < 1000


def test_one_crowd_at_a_time_and_a_caller_who_leaves_ends_it(sleepers: httpx.Client) -> None:
    def status() -> int:
        return sleepers.get("/", params={"kind": "tasks", "number": 10, "seconds": 0}).status_code

    with user_who_leaves(f"{sleepers.base_url}?kind=tasks&number=10&seconds=30"):
        wait_until(crowds)
        assert status() == 409
    wait_until(lambda: status() == 200)
    assert crowds() == []


def test_a_crowd_that_is_killed_says_how_far_it_was(sleepers: httpx.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(sleepers.get, "/", params={"kind": "threads", "number": 50, "seconds": 30})
        wait_until(lambda: any(crowd.num_threads() > 50 for crowd in crowds()))
        crowds()[0].kill()
        answer = asked.result().json()
    assert answer["stopped_by"] == "killed by the kernel: the memory limit"
    assert 48 <= answer["started"] <= 50  # it says so after every second thread
    assert answer["memory_bytes"] > 0
    assert sleepers.get("/healthz").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "kind"),
        ("kind=fibres&number=1&seconds=1", "kind"),
        ("kind=threads&seconds=1", "number"),
        ("kind=threads&number=1", "seconds"),
        ("kind=threads&number=20001&seconds=1", "number"),
        ("kind=tasks&number=2000001&seconds=1", "number"),
        ("kind=tasks&number=0&seconds=1", "number"),
        ("kind=tasks&number=1&seconds=31", "seconds"),
        ("kind=threads&number=1&seconds=1&stack=1000", "stack"),
        ("kind=threads&number=1&seconds=1&gc=maybe", "gc"),
        ("kind=threads&numbers=1", "numbers"),
    ],
)
def test_a_bad_value_is_refused_by_name(sleepers: httpx.Client, query: str, parameter: str) -> None:
    answer = sleepers.get(f"/?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["parameter"] == parameter


def test_other_paths_and_methods_are_refused(sleepers: httpx.Client) -> None:
    assert sleepers.get("/nowhere").status_code == 404
    assert sleepers.post("/").status_code == 405
