from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from loadtests.generator import sampler, targets
from tests.integration.waiting import PATIENCE, user_who_leaves, wait_until
from tests.processes import running, urls

every_kind = pytest.mark.parametrize("kind", ["threads", "tasks"])
FEW = {"fan_out": 2, "each": 50, "latency": 0.5}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with running(["sleepers"], tmp_path_factory.mktemp("sleepers")) as runtime:
        yield urls(runtime)


@pytest.fixture
def sleepers(lab: dict[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab["sleepers"], timeout=PATIENCE, trust_env=False) as client:
        yield client


def processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if sleeps(child)]


def sleeps(process: psutil.Process) -> bool:
    try:
        return "services.sleepers.workers" in process.cmdline()
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return False


@every_kind
def test_a_page_of_sleepers_is_whole_when_all_have_slept(sleepers: httpx.Client, kind: str) -> None:
    answer = sleepers.get(f"/{kind}/", params={**FEW, "page": "nonce"})
    assert answer.json() == {
        "strategy": kind,
        "sleepers": 100,
        "responses": [{"task_id": "0", "page": "nonce"}, {"task_id": "1", "page": "nonce"}],
    }
    assert answer.elapsed.total_seconds() >= 0.5
    assert processes() == []


def test_threads_are_counted_while_they_sleep(lab: dict[str, str]) -> None:
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(httpx.get, f"{lab['sleepers']}/threads/", params={**FEW, "latency": 5}, timeout=PATIENCE)

        def threads() -> int:
            reading = sampler.read(lab["sleepers metrics"])
            return (reading.number("lab_threads") or 0) if reading else 0

        wait_until(lambda: threads() > 100)
        assert page.result().status_code == 200


def test_it_is_a_target_that_calls_no_api(lab: dict[str, str]) -> None:
    target = targets.ask("sleepers", lab["sleepers"])
    assert (target.slots, target.paths) == (None, {"threads": "/threads/", "tasks": "/tasks/"})
    assert (target.metrics, target.api_metrics) == (lab["sleepers metrics"], "")


def test_what_could_not_be_started_is_said_with_the_reason(root: Path) -> None:
    """A gigabyte of address space has no room for 1,000 stacks of 8 MB."""
    words = f"ulimit -v 1000000; ulimit -s 8192; exec {sys.executable} -m services.sleepers.workers threads 1000 0.2"
    ended = subprocess.run(["sh", "-c", words], cwd=root, capture_output=True, text=True, check=False)  # noqa: S607
    assert ended.returncode == 1
    assert ended.stderr.strip() == "RuntimeError: can't start new thread"


def test_one_page_sleeps_at_a_time_and_a_caller_who_leaves_ends_it(sleepers: httpx.Client) -> None:
    def status() -> int:
        return sleepers.get("/tasks/", params={"fan_out": 1, "each": 10, "latency": 0}).status_code

    with user_who_leaves(f"{sleepers.base_url}/tasks/?fan_out=1&each=10&latency=10"):
        wait_until(processes)
        assert status() == 409
    wait_until(lambda: status() == 200)
    assert processes() == []


def test_a_process_that_is_killed_fails_its_page(sleepers: httpx.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(sleepers.get, "/threads/", params={**FEW, "latency": 10})
        wait_until(lambda: any(process.num_threads() > 100 for process in processes()))
        processes()[0].kill()
        answer = asked.result()
    assert (answer.status_code, answer.json()["detail"]) == (503, "killed by the kernel: the memory limit")
    assert sleepers.get("/healthz").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "fan_out"),
        ("fan_out=101&each=1&latency=1", "fan_out"),
        ("fan_out=1&each=201&latency=1", "each"),
        ("fan_out=1&latency=1", "each"),
        ("fan_out=1&each=1&latency=11", "latency"),
        ("fan_out=1&each=1&latency=1&jitter=0.5", "jitter"),
        ("fan_out=1&each=1&latency=1&kind=fibres", "kind"),
    ],
)
def test_a_bad_value_is_refused_by_name(sleepers: httpx.Client, query: str, parameter: str) -> None:
    answer = sleepers.get(f"/threads/?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["parameter"] == parameter


def test_other_paths_and_methods_are_refused(sleepers: httpx.Client) -> None:
    assert sleepers.get("/fibres/").status_code == 404
    assert sleepers.post("/tasks/").status_code == 405
