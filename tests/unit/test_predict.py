from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import linear_regression
from typing import Any

import pytest

from loadtests import experiments
from loadtests.errors import BadInput
from loadtests.host import topology
from loadtests.model.experiment import Arm, Experiment
from loadtests.model.load_level import LoadLevel
from loadtests.model.run_options import RunOptions
from loadtests.model.service import Service
from loadtests.report import predict
from loadtests.results import folders, history, summary
from tests.unit.factories import SETTINGS, target

OPTIONS = RunOptions(users=(LoadLevel(users=200),), knobs={"fan_out": "4", "latency": "0.3"})
EXPERIMENT = experiments.find("external-concurrency")


@pytest.fixture(autouse=True)
def _no_run_yet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(folders, "FOLDER", tmp_path)
    for name in ("THREADPOOL", "MAX_CONNECTIONS", "JITTER", "LATENCY_P99", "CORRELATED", "FAIL", "WORK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WSGI_THREADS", "10")


def described(experiment: Experiment, runtime: str) -> predict.Lab:
    """The lab as a run of the experiment would bring it up."""
    services = topology.services({**os.environ, **experiment.deployment})
    return predict.Lab.on_this_machine(services, limited=runtime == "docker")


def lab(*services: Service, machine: float = 8, limited: bool = True) -> predict.Lab:
    return predict.Lab({service.name: service for service in services}, machine, limited)


def keep(run: str, summary: str) -> None:
    folder = folders.FOLDER / run
    folder.mkdir()
    (folder / "summary.json").write_text(summary)


def printed(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    assert predict.main(EXPERIMENT, OPTIONS, described(EXPERIMENT, "docker")) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("WSGI", "ASGI"))]


def test_slots_and_latency_alone_give_the_plateau(capsys: pytest.CaptureFixture[str]) -> None:
    wsgi, asgi = printed(capsys)
    assert wsgi == ["WSGI", "threadpool", "200", "users", "33.3", "6.00", "s", "slots", "0", "40.0"]
    assert asgi == ["ASGI", "gather", "200", "users", "667", "300", "ms", "users", "0", "800"]


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
    beside: float | None = None,
    goodput: float = 100.0,
    status: str = "confirmed",
    passed: bool = True,
) -> None:
    """A run whose first step had too few pages to tell."""
    few = {"cpu_per_page": 0.07, "cpu_beside": 0.0, "pages": 19, "goodput": 1.0, "knobs": {}}
    enough = {"cpu_per_page": cpu, "cpu_beside": beside, "pages": 200, "goodput": goodput, "knobs": of_step or {}}
    arm = {"target": "asgi", "strategy": strategy, "label": label, "steps": [few, enough]}
    knobs = {"fan_out": fan_out, "work": work}
    summary = {"experiment": experiment, "arms": [arm], "manifest": {"knobs": knobs}}
    keep(name, json.dumps(summary | {"complete": True, "verdict": {"status": status}, "checks": [{"passed": passed}]}))


def test_the_cpu_that_the_latest_run_of_such_pages_measured_is_taken_into_account(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran("20260101T000000Z-oldest", 0.03)
    ran("20260102T000000Z-older", 0.0125)
    ran("20260103T000000Z-nothing-measured", None)
    ran("20260104T000000Z-other-pages", 0.03, strategy="orm_sync")
    ran("20260105T000000Z-pages-that-compute", 0.05, work=0.05)
    ran("20260106T000000Z-another-fan-out", 0.0035, fan_out=1)
    # 2.5 ms a page and 1 ms a call: 6.5 ms for four calls.
    assert printed(capsys)[1] == ["ASGI", "gather", "200", "users", "154", "1.30", "s", "cpu", "0", "185"]


def lines(
    capsys: pytest.CaptureFixture[str],
    name: str,
    runtime: str = "docker",
    *,
    users: tuple[LoadLevel, ...] = (),
    **knobs: str,
) -> list[str]:
    experiment = experiments.find(name)
    predict.main(experiment, RunOptions(users=users, knobs=knobs), described(experiment, runtime))
    return capsys.readouterr().out.splitlines()


def test_a_page_of_one_call_is_charged_with_the_cpu_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    ran("20260101T000000Z-ten-calls", 0.02)
    said = lines(capsys, "api-latency", users=(LoadLevel(users=1000),), latency="0.1")
    one, ten = (line.split() for line in said if line.split()[:1] == ["ASGI"])
    assert (one[1:3], ten[1:3]) == (["one", "call"], ["ten", "calls"])
    assert one[-7:-1] == ["≤", "500", "2.00", "s", "cpu", "0"], "a page costs something without its calls"
    assert ten[-7:-1] == ["users", "50.0", "20.0", "s", "cpu", "0"]
    assert "ASGI gather 2.00 ms at fan-out 1 and 20.0 ms" in " ".join(said)


def test_a_page_costs_something_and_each_call_whether_an_arm_or_a_step_turned_the_fan_out() -> None:
    ran("20260101T000000Z-ten-calls", 0.02)
    ran("20260102T000000Z-one-call", 0.003, experiment="api-latency", label="one call")
    ran("20260103T000000Z-fifty-calls", 0.04, experiment="fan-out", of_step={"fan_out": 50})
    ran("20260104T000000Z-two-calls-of-nobody-knows-what", 0.03, strategy="orm_sync", fan_out=2)
    measured, arm = history.measured_cpu(), Arm("asgi", "gather")
    slope, intercept = linear_regression([1, 10, 50], [0.003, 0.02, 0.04])
    for fan_out, cpu in ((1, 0.003), (10, 0.02), (50, 0.04), (4, intercept + 4 * slope), (25, intercept + 25 * slope)):
        found = history.cpu_of_earlier_runs(measured, arm, replace(SETTINGS, fan_out=fan_out), 100.0)
        assert found is not None
        assert found.cpu_per_page == pytest.approx(cpu), fan_out
    assert history.cpu_of_earlier_runs(measured, arm, replace(SETTINGS, work=0.1), 100.0) is None


def test_cpu_is_taken_where_the_target_was_about_as_busy_and_of_the_latest_run() -> None:
    ran("20260101T000000Z-old", 0.009, goodput=250.0)
    ran("20260102T000000Z-new", 0.012, goodput=5.0)
    ran("20260103T000000Z-one-call", 0.002, goodput=300.0, fan_out=1)
    measured, arm = history.measured_cpu(), Arm("asgi", "gather")
    assert {one.cpu_per_page for one in measured} == {0.009, 0.012, 0.002}, "not of 19 pages"
    busy = [replace(one, run="same") for one in measured]
    for goodput, cpu in ((2.0, 0.012), (400.0, 0.009)):
        found = history.cpu_of_earlier_runs(busy, arm, SETTINGS, goodput)
        assert found is not None
        assert found.cpu_per_page == cpu
        latest = history.cpu_of_earlier_runs(measured, arm, SETTINGS, goodput)
        assert latest is not None
        assert latest.cpu_per_page == 0.012


@pytest.mark.parametrize(("costs", "of_four"), [((0.02, 0.01), 0.015), ((0.0001, 0.02), 0.008)])
def test_neither_a_page_nor_a_call_gives_cpu_back(costs: tuple[float, float], of_four: float) -> None:
    for fan_out, cpu in zip((1, 10), costs, strict=True):
        ran(f"20260101T0000{fan_out:02}Z-run", cpu, fan_out=fan_out)
    found = history.cpu_of_earlier_runs(history.measured_cpu(), Arm("asgi", "gather"), replace(SETTINGS, fan_out=4), 9)
    assert found is not None
    assert found.cpu_per_page == pytest.approx(of_four, rel=0.01)


def test_what_a_page_computes_is_not_scaled(capsys: pytest.CaptureFixture[str]) -> None:
    ran("20260105T000000Z-pages-that-compute", 0.06, work=0.05, fan_out=8)
    assert "ASGI gather 55.0 ms" in " ".join(lines(capsys, "external-concurrency", fan_out="4", work="0.05"))


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"arms": 7}', '{"arms": [{}]}', "\x00"])
def test_a_damaged_run_says_nothing(damaged: str, capsys: pytest.CaptureFixture[str]) -> None:
    keep("20260101T000000Z-damaged", damaged)
    assert printed(capsys)[1][4] == "667"


def test_pages_of_queries_share_the_pool_of_postgresql_and_none_of_sqlite() -> None:
    known = {"INTERFACE": "asgi", "WORKERS": "2", "THREADPOOL": "5", "MAX_CONNECTIONS": "7", "DATABASE_POOL": "10"}
    for url, pages in (
        ("postgres://lab@postgres/lab", ("orm_sync", "orm_to_async", "orm_async", "orm_gather")),
        ("sqlite:////a", ()),
    ):
        service = Service("asgi", [], {**known, "DATABASE_URL": url}, [], [], [], [], None)
        found = predict.deployment(service, lab(service)).pools
        assert {name for name, size in found.items() if size == 20} == set(pages)
        assert found.items() >= {"threadpool": 10, "gather": 14}.items()


def test_a_clients_own_pool_is_predicted_with(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(capsys, "http-client", users=(LoadLevel(users=200),), fan_out="10", latency="1")
    [limited] = [line.split() for line in said if line.startswith("ASGI   httpx, default limits")]
    assert limited[-7:] == ["≤", "10.0", "6.00", "s", "pool", "some", "100"]
    [why] = [line for line in said if line.startswith("Pages fail (")]
    assert why.endswith("calls wait 5 s for a pooled connection, and then fail. How many is not predicted.")


def test_a_deployment_that_is_not_described_is_refused_by_name() -> None:
    service = Service("wsgi", [], {"INTERFACE": "wsgi", "WORKERS": "many", "THREADS": "10"}, [], [], [], [], None)
    with pytest.raises(BadInput, match="does not say what wsgi is"):
        predict.deployment(service, lab(service))


@pytest.mark.parametrize("doubt", [{"status": "invalid"}, {"passed": False}])
def test_nothing_is_learned_from_a_run_that_does_not_hold(
    doubt: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    ran("20260101T000000Z-valid", 0.0125)
    ran("20260102T000000Z-in-doubt", 0.05, **doubt)
    assert "ASGI gather 5.00 ms" in " ".join(lines(capsys, "external-concurrency", fan_out="4"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("client-gone", "its users leave after 0.5 s"),
        ("timeouts", "one of its calls hangs"),
        ("self-call", "its calls wait for slots that its own pages hold"),
    ],
)
def test_what_the_formula_does_not_know_is_said_and_no_empty_table_printed(
    name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = lines(capsys, name)
    [sentence] = [line for line in said if line.startswith("Not predicted: ")]
    assert why in sentence
    assert sentence.endswith(f"Measure it: make loadtest EXPERIMENT={name}.")
    rows = [line for line in said if line.startswith(("WSGI", "ASGI"))]
    assert ("target strategy" in " ".join(said)) == bool(rows)


def test_cpu_that_an_experiment_takes_for_granted_is_said_and_not_called_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = " ".join(lines(capsys, "ten-thousand"))
    assert "CPU per page taken to be 12.0 ms" in said
    assert "left out" not in said


def test_an_experiments_own_deployment_is_predicted_with(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = described(experiments.find("self-call"), "process").services["asgi"].environment["CALL_TIMEOUT"]
    monkeypatch.setenv("CALL_TIMEOUT", "7")
    plain = described(experiments.find("slots"), "process").services["asgi"].environment["CALL_TIMEOUT"]
    assert (asked, plain) == ("0.8", "7")


@pytest.mark.parametrize(("runtime", "goodput"), [("docker", "5.00"), ("process", "20.0")])
def test_a_cpu_limit_limits_containers_only(
    runtime: str, goodput: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGGREGATOR_CPUS", "0.25")
    said = lines(capsys, "cpu-bound", runtime=runtime, users=(LoadLevel(users=20),))
    [row] = [line.split() for line in said if line.startswith("ASGI")]
    assert row[4] == goodput


def test_as_processes_a_target_has_the_cores_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {1, 5})
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    monkeypatch.setenv("WSGI_WORKERS", "4")
    monkeypatch.setenv("AGGREGATOR_CPUS", "1.0")
    found = {name: described(EXPERIMENT, name) for name in ("process", "docker")}
    given = {name: predict.deployment(lab.services["wsgi"], lab) for name, lab in found.items()}
    assert (given["process"].cores, given["process"].machine) == (2, 2)
    assert (given["docker"].cores, given["docker"].machine) == (1, 16)


def test_a_run_predicts_with_the_same_cores_and_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setenv("WSGI_WORKERS", "4")
    monkeypatch.setenv("WSGI_THREADS", "1")
    monkeypatch.setenv("CALL_TIMEOUT", "5")
    lab = described(experiments.find("external-concurrency"), "process")
    before = predict.deployment(lab.services["wsgi"], lab)
    services = {name: {"cpus": None, "environment": one.environment} for name, one in lab.services.items()}
    said = replace(target("wsgi", 4), workers=4, pools=dict(before.pools))
    assert summary.deployment(said, {"services": services, "generator": {"cores": 2}}) == before
    assert (before.cores, before.call_timeout) == (2, 5)
