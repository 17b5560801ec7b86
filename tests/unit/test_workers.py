"""What several load generators saw, put together; that they see it is for tests/integration/runs/test_generators.py."""

from __future__ import annotations

import math
from typing import Any

import pytest

from loadtests.analysis.histograms import histogram
from loadtests.analysis.statistics import percentile
from loadtests.generator.workers import Merged, Mirror, Worker, Workers

REPORT: dict[str, Any] = {
    "step": 0,
    "now": 1003.0,
    "before": 0,
    "pages": [(1000.5, 1001.0, None, "")],
    "opened_at": 1000.0,
    "closed_at": math.inf,
    "started": 1.7e9,
    "first_bytes": None,
    "trace": None,
    "starting": 0,
    "unfinished": 2,
    "cut_off": 0,
    "by_status": [],
    "figures": None,
    "over": False,
}


def mirror(opened_at: float, closed_at: float, *pages: tuple[float, float]) -> Mirror:
    return Mirror(
        opened_at=opened_at,
        closed_at=closed_at,
        told_at=closed_at,
        pages=[(began, ended, None, "") for began, ended in pages],
    )


def test_pages_are_put_together_by_the_time_since_each_window_was_opened() -> None:
    """The clocks of two machines have nothing to do with each other."""
    here = mirror(100.0, 110.0, (101.0, 102.0), (99.0, 105.0))
    there = mirror(5_000.0, 5_010.0, (5_001.0, 5_003.0), (4_000.0, 4_001.0))
    merged = Merged(mirrors=[here, there])
    assert [(page.began, page.ended) for page in merged.log] == [(1.0, 2.0), (1.0, 3.0), (-1.0, 5.0)]
    assert merged.ends == [2.0, 5.0, 3.0]
    assert merged.response_times.get_total_count() == 2
    assert len(merged.ended) == 4


def test_percentiles_are_those_of_all_pages_and_no_average() -> None:
    fast = mirror(0.0, 10.0, *((1.0, 1.1) for _ in range(99)))
    slow = mirror(0.0, 10.0, (1.0, 6.0))
    assert percentile(Merged(mirrors=[fast, slow]).response_times, 50) == pytest.approx(0.1, rel=0.01)


def test_goodput_is_the_sum_of_what_each_served_in_a_second() -> None:
    many = mirror(0.0, 10.0, *((1.0, 2.0) for _ in range(100)))
    few = mirror(0.0, 8.0, *((1.0, 2.0) for _ in range(16)))
    merged = Merged(mirrors=[many, few], closed_at=1.0)
    assert len(merged.ends) / merged.seconds == pytest.approx(10.0 + 2.0)


def test_what_nobody_has_served_has_a_window_all_the_same() -> None:
    assert Merged(mirrors=[mirror(0.0, 10.0), mirror(0.0, 8.0)], closed_at=1.0).seconds == 9.0
    assert Merged(closed_at=1.0).seconds == 0.0


@pytest.fixture
def crew() -> Workers:
    """With one load generator, and nobody whom it could hear."""
    made = Workers(1, "secret")
    said(made, name="process 7")
    return made


def said(crew: Workers, client: str = "one", token: Any = "secret", **data: Any) -> None:  # noqa: S107
    crew.hear(client, {"token": token, **data})


def test_nobody_is_believed_who_has_not_the_runs_token(crew: Workers) -> None:
    crew.all.clear()
    for wrong in ("", "Secret", None, 7):
        said(crew, token=wrong, name="a stranger")
    assert crew.all == []


def test_one_that_comes_when_all_are_there_has_nothing_to_do(crew: Workers) -> None:
    said(crew, "two", name="process 8")
    assert [worker.name for worker in crew.all] == ["load generator 1 (process 7)"]


def test_what_is_said_of_a_step_is_noted_once_and_what_belongs_to_another_is_not(crew: Workers) -> None:
    [worker] = crew.all
    worker.begin_step(0)
    said(crew, **REPORT)
    said(crew, **REPORT | {"step": 1})
    assert len(worker.mirror.pages) == 1
    assert (worker.unfinished, worker.starting) == (2, 0)
    assert worker.opened < math.inf
    worker.begin_step(1)
    assert (worker.mirror.pages, worker.starting, worker.opened) == ([], 1, math.inf)


def test_a_report_that_did_not_arrive_is_missed(crew: Workers) -> None:
    [worker] = crew.all
    worker.begin_step(0)
    said(crew, **REPORT)
    said(crew, **REPORT | {"before": 1})
    assert crew.faults == []
    said(crew, **REPORT | {"before": 5})
    [fault] = crew.faults
    assert fault.startswith("load generator 1 (process 7) reported 3 pages that did not arrive")


def test_first_bytes_come_as_a_histogram(crew: Workers) -> None:
    [worker] = crew.all
    worker.begin_step(0)
    said(crew, **REPORT | {"first_bytes": histogram([0.25]).encode()})
    assert percentile(worker.mirror.first_bytes, 50) == pytest.approx(0.25, rel=0.01)


def test_one_that_is_not_heard_any_more_is_lost_by_name(crew: Workers) -> None:
    crew.find_lost(["one"])
    assert crew.faults == []
    crew.find_lost(["two"])
    crew.find_lost(["one", "two"])  # who comes back has missed a part of the step
    assert crew.faults == ["load generator 1 (process 7) was lost: it ended, or the network is full or cut"]


def test_one_that_fails_says_why(crew: Workers) -> None:
    said(crew, failed="OSError(28, 'No space left on device')")
    assert crew.faults == ["load generator 1 (process 7) failed: OSError(28, 'No space left on device')"]


def test_a_worker_is_who_it_was_in_the_step_before() -> None:
    worker = Worker("one", "load generator 1", fault="was lost", starting=0)
    worker.begin_step(4)
    assert (worker.client, worker.name, worker.fault, worker.step) == ("one", "load generator 1", "was lost", 4)
