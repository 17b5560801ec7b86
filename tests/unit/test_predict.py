from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests import earlier, experiments, predict, results
from loadtests.errors import BadInput
from loadtests.experiments import Arm
from loadtests.runtime.processes import Service
from loadtests.step import Step
from tests.unit.factories import SETTINGS

OPTIONS = Namespace(
    experiments=["external-concurrency"],
    users=(Step(users=200),),
    rate=(),
    quick=False,
    fan_out="4",
    latency="0.3",
    jitter="",
    fail="",
    work="",
)


@pytest.fixture(autouse=True)
def _no_run_yet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    for name in ("THREADPOOL", "MAX_CONNECTIONS", "JITTER", "FAIL", "WORK"):
        monkeypatch.delenv(name, raising=False)


def keep(run: str, summary: str) -> None:
    folder = results.FOLDER / run
    folder.mkdir()
    (folder / "summary.json").write_text(summary)


def printed(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    assert predict.main(OPTIONS) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("wsgi", "asgi"))]


def test_slots_and_latency_alone_give_the_plateau(capsys: pytest.CaptureFixture[str]) -> None:
    wsgi, asgi = printed(capsys)
    assert wsgi == ["wsgi", "threadpool", "200", "users", "33.3", "6.000", "slots", "40"]
    assert asgi == ["asgi", "gather", "200", "users", "666.7", "0.300", "users", "800"]


def ran(  # noqa: PLR0913  # what a summary says of an arm
    name: str,
    cpu: float | None,
    *,
    experiment: str = "external-concurrency",
    strategy: str = "gather",
    label: str = "",
    of_step: Mapping[str, float] | None = None,
    fan_out: int = 10,
    work: float = 0.0,
) -> None:
    """A run whose first step had too few pages to tell."""
    steps = [{"cpu_per_page": None, "knobs": {}}, {"cpu_per_page": cpu, "knobs": of_step or {}}]
    arm = {"target": "asgi", "strategy": strategy, "label": label, "cpu_per_page_calibrated": cpu, "steps": steps}
    knobs = {"fan_out": fan_out, "work": work}
    keep(name, json.dumps({"experiment": experiment, "arms": [arm], "manifest": {"knobs": knobs}}))


def test_the_cpu_that_the_latest_run_of_such_pages_measured_is_taken_into_account(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran("20260101T000000Z-oldest", 0.03)
    ran("20260102T000000Z-older", 0.0125)
    ran("20260103T000000Z-nothing-measured", None)
    ran("20260104T000000Z-other-pages", 0.03, strategy="orm_sync")
    ran("20260105T000000Z-pages-that-compute", 0.05, work=0.05)
    ran("20260106T000000Z-far-from-this-fan-out", 0.003, fan_out=1)
    assert printed(capsys)[1] == ["asgi", "gather", "200", "users", "200.0", "1.000", "cpu", "240"]


def lines(capsys: pytest.CaptureFixture[str], experiment: str, **changes: Any) -> list[str]:
    asked = {**vars(OPTIONS), "experiments": [experiment], "users": (), "fan_out": "", "latency": "", **changes}
    predict.main(Namespace(**asked))
    return capsys.readouterr().out.splitlines()


def test_a_page_of_one_call_is_charged_with_the_cpu_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    ran("20260101T000000Z-ten-calls", 0.02)
    said = lines(capsys, "fast-api", users=(Step(users=1000),), latency="0.1")
    one, ten = (line.split() for line in said if line.split()[:1] == ["asgi"])
    assert (one[1:3], ten[1:3]) == (["one", "call"], ["ten", "calls"])
    assert one[-4:-1] == ["500.0", "2.000", "cpu"]
    assert ten[-4:-1] == ["50.0", "20.000", "cpu"]
    assert "asgi gather 2.0 ms at fan-out 1 and 20.0 ms" in " ".join(said)


def test_the_run_with_the_nearest_fan_out_is_asked_whether_an_arm_or_a_step_turned_it() -> None:
    ran("20260101T000000Z-ten-calls", 0.02)
    ran("20260102T000000Z-one-call", 0.003, experiment="fast-api", label="one call")
    ran("20260103T000000Z-fifty-calls", 0.04, experiment="fan-out", of_step={"fan_out": 50})
    ran("20260104T000000Z-two-calls-of-nobody-knows-what", 0.03, strategy="orm_sync", fan_out=2)
    measured, arm = earlier.measured_cpu(), Arm("asgi", "gather")
    for fan_out, cpu in ((1, 0.003), (2, 0.006), (8, 0.016), (10, 0.02), (25, 0.02), (50, 0.04)):
        found = earlier.cpu_of_earlier_runs(measured, arm, replace(SETTINGS, fan_out=fan_out))
        assert found == pytest.approx(cpu), fan_out
    assert earlier.cpu_of_earlier_runs(measured, arm, replace(SETTINGS, work=0.1)) is None


def test_what_a_page_computes_is_not_scaled(capsys: pytest.CaptureFixture[str]) -> None:
    ran("20260105T000000Z-pages-that-compute", 0.06, work=0.05, fan_out=8)
    assert "asgi gather 55.0 ms" in " ".join(lines(capsys, "external-concurrency", fan_out="4", work="0.05"))


def test_a_probe_has_nothing_to_predict() -> None:
    [probe] = [name for name, one in experiments.catalogue().items() if one.probe is not None]
    with pytest.raises(BadInput, match=f"there is nothing to predict for {probe}"):
        predict.main(Namespace(**{**vars(OPTIONS), "experiments": [probe]}))


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"arms": 7}', '{"arms": [{}]}', "\x00"])
def test_a_damaged_run_says_nothing(damaged: str, capsys: pytest.CaptureFixture[str]) -> None:
    keep("20260101T000000Z-damaged", damaged)
    assert printed(capsys)[1][4] == "666.7"


def test_pages_of_queries_share_the_pool_of_postgresql_and_none_of_sqlite() -> None:
    known = {"WORKERS": "2", "THREADS": "0", "THREADPOOL": "5", "MAX_CONNECTIONS": "7", "DATABASE_POOL": "10"}
    clients = {"threadpool": 10, "gather": 14}
    for url, pages in (
        ("postgres://lab@postgres/lab", ("orm_sync", "orm_to_async", "orm_async", "orm_gather")),
        ("sqlite:////a", ()),
    ):
        service = Service("asgi", [], {**known, "DATABASE_URL": url}, [], [], [], [], None)
        assert predict.deployment(service).pools == {**clients, **dict.fromkeys(pages, 20)}


def test_a_clients_own_pool_is_predicted_with(capsys: pytest.CaptureFixture[str]) -> None:
    options = Namespace(**{**vars(OPTIONS), "experiments": ["http-client"], "fan_out": "10", "latency": "1"})
    predict.main(options)
    [limited] = [line.split() for line in capsys.readouterr().out.splitlines() if "httpx, default" in line]
    assert limited[-4:] == ["10.0", "20.000", "pool", "100"]


def test_a_deployment_that_is_not_described_is_refused_by_name() -> None:
    service = Service("wsgi", [], {"WORKERS": "many", "THREADS": "10"}, [], [], [], [], None)
    with pytest.raises(BadInput, match="does not say what wsgi is"):
        predict.deployment(service)
