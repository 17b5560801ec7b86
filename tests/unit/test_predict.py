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


def test_the_cpu_that_the_latest_run_measured_is_taken_into_account(capsys: pytest.CaptureFixture[str]) -> None:
    arm = {"target": "asgi", "strategy": "gather", "cpu_per_page_calibrated": 0.0125}
    keep("20260102T000000Z-older", json.dumps({"arms": [arm], "manifest": {"knobs": {"fan_out": 10}}}))
    nothing = {**arm, "cpu_per_page_calibrated": None}
    keep("20260103T000000Z-newer", json.dumps({"arms": [nothing], "manifest": {"knobs": {"fan_out": 10}}}))
    assert printed(capsys)[1] == ["asgi", "gather", "200", "users", "200.0", "1.000", "cpu", "240"]


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"arms": 7}', '{"arms": [{}]}', "\x00"])
def test_a_damaged_run_says_nothing(damaged: str, capsys: pytest.CaptureFixture[str]) -> None:
    keep("20260101T000000Z-damaged", damaged)
    assert printed(capsys)[1][4] == "666.7"


def test_a_deployment_that_is_not_described_is_refused_by_name() -> None:
    service = Service("wsgi", [], {"WORKERS": "many", "THREADS": "10"}, [], [], [], [], None)
    with pytest.raises(BadInput, match="does not say what wsgi is"):
        predict.deployment(service)
