from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from loadtests import predict, results
from loadtests.errors import BadInput
from loadtests.runtime.processes import Service
from loadtests.step import Step

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


def ran(name: str, cpu: float | None, strategy: str = "gather", **knobs: float) -> None:
    arm = {"target": "asgi", "strategy": strategy, "cpu_per_page_calibrated": cpu}
    keep(name, json.dumps({"arms": [arm], "manifest": {"knobs": {"fan_out": 10, "work": 0.0, **knobs}}}))


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


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"arms": 7}', '{"arms": [{}]}', "\x00"])
def test_a_damaged_run_says_nothing(damaged: str, capsys: pytest.CaptureFixture[str]) -> None:
    keep("20260101T000000Z-damaged", damaged)
    assert printed(capsys)[1][4] == "666.7"


def test_pages_of_queries_share_the_pool_of_postgresql_and_none_of_sqlite() -> None:
    known = {"WORKERS": "2", "THREADS": "0", "THREADPOOL": "5", "MAX_CONNECTIONS": "7", "DATABASE_POOL": "10"}
    clients = {"threadpool": 10, "gather": 14}
    for url, pages in (
        ("postgres://lab@postgres/lab", ("orm_sync", "orm_to_async", "orm_async")),
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
