"""What the launcher does around a run; nothing is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests import experiments
from loadtests.errors import ExitCode, Interrupted, LabDown
from loadtests.experiments import find
from loadtests.host import compose, launch, lock
from loadtests.model.experiment import Experiment
from loadtests.model.run_options import RunOptions
from loadtests.results import folders

NAMES = ["class-based", "slots"]
OPTIONS = RunOptions()
MeasureOne = Callable[[Experiment, RunOptions, Any, Path], ExitCode]


class NoRuntime:
    name = "process"
    project = ""

    def __init__(self, logs: Path) -> None:
        self.logs = logs

    def prepare(self, variables: Any) -> None:
        self.logs.mkdir()
        (self.logs / "api.log").touch()

    def drop(self, services: Any) -> None:
        pass

    def down(self) -> None:
        pass


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "FOLDER", tmp_path)
    monkeypatch.setattr(launch, "ProcessRuntime", NoRuntime)
    monkeypatch.setattr(lock, "FOLDER", tmp_path / "locks")
    return tmp_path


def measuring(until: int) -> MeasureOne:
    """Each of the first `until` leaves a report; the next is interrupted."""
    done: list[str] = []

    def measure_one(experiment: Experiment, _: RunOptions, __: Any, folder: Path) -> ExitCode:
        if len(done) == until:
            raise Interrupted
        done.append(experiment.name)
        for name in ("summary.json", "report.html"):
            (folder / name).touch()
        return ExitCode.CONFIRMED

    return measure_one


def measured(until: int, monkeypatch: pytest.MonkeyPatch) -> list[launch.RunOutcome]:
    monkeypatch.setattr(launch, "measure_one", measuring(until))
    return launch.measure(list(map(find, NAMES)), OPTIONS, "process")


def left_in(folder: Path) -> list[str]:
    return [path.name.partition("-")[2] for path in sorted(folder.glob("2*"))]


@pytest.mark.parametrize("until", [0, 1])
def test_interrupted_while_it_starts_an_experiment_leaves_no_folder(
    until: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = measured(until, monkeypatch)
    assert [(one.experiment.name, one.code) for one in ended] == [
        *((name, ExitCode.CONFIRMED) for name in NAMES[:until]),
        (NAMES[until], ExitCode.INTERRUPTED),
    ]
    assert ended[-1].folder is None
    assert left_in(folder) == NAMES[:until]


def test_interrupted_between_two_experiments_does_not_count_the_first_for_the_second(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = folders.new_folder

    def first_only(name: str) -> Path:
        if name != NAMES[0]:
            raise Interrupted
        return make(name)

    monkeypatch.setattr(folders, "new_folder", first_only)
    first, second = measured(2, monkeypatch)
    assert (first.code, second.code, second.folder) == (ExitCode.CONFIRMED, ExitCode.INTERRUPTED, None)
    assert left_in(folder) == NAMES[:1]


@pytest.mark.parametrize("error", [LabDown("nobody answers"), RuntimeError("a bug")])
def test_an_error_in_a_later_experiment_does_not_cost_the_earlier_ones(
    error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure_first = measuring(until=1)

    def measure_one(*arguments: Any) -> ExitCode:
        try:
            return measure_first(*arguments)
        except Interrupted:
            raise error from None

    monkeypatch.setattr(launch, "measure_one", measure_one)
    ended = launch.measure(list(map(find, NAMES)), OPTIONS, "process")
    assert [one.code for one in ended] == [ExitCode.CONFIRMED, ExitCode.INVALID]
    assert f"{NAMES[1]} was not measured: {error}" in capsys.readouterr().err
    assert left_in(folder) == NAMES[:1]


class ThenInterrupted(list[Experiment]):
    def __iter__(self) -> Iterator[Experiment]:
        yield from super().__iter__()
        raise Interrupted


def test_an_interrupt_after_the_last_experiment_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "sorted", lambda *_, **__: ThenInterrupted(map(find, NAMES)), raising=False)
    assert [one.code for one in measured(2, monkeypatch)] == [ExitCode.CONFIRMED, ExitCode.CONFIRMED]
    assert left_in(folder) == NAMES


def test_noise_comes_first_and_what_needs_the_same_deployment_together() -> None:
    order = [one.name for one in sorted(experiments.catalogue().values(), key=launch.running_order)]
    assert order[0] == "noise"
    assert order[-2:] == ["self-call", "timeouts"]


@pytest.mark.parametrize(
    ("name", "stopped"),
    [
        ("slots", ["wsgi", "asgi", "wsgi-4x25"]),  # compares processes, which must not have been in use
        ("class-based", ["wsgi-4x25"]),
        ("database", ["wsgi", "asgi", "wsgi-4x25"]),
    ],
)
def test_an_experiment_keeps_of_the_one_before_what_it_needs_and_may_use(name: str, stopped: list[str]) -> None:
    assert launch.not_kept(["wsgi", "asgi", "wsgi-4x25"], find(name)) == stopped


class Watched(NoRuntime):
    """A cluster that loses a node as soon as the generator has begun."""

    def lost(self) -> str:
        return "the node second is down" if self.logs.exists() else ""

    def interrupt(self, generator: subprocess.Popen[bytes]) -> None:
        generator.terminate()


GENERATOR = """
import os, pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
pathlib.Path(sys.argv[1]).touch()
signal.sigwait([signal.SIGTERM])
print(os.read(0, 1000).decode(), "stands in its report")
"""


def test_a_lost_node_stops_the_generator_and_its_run_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "LOOK", 0.01)
    begun = tmp_path / "begun"
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    generator = subprocess.Popen([sys.executable, "-c", GENERATOR, str(begun)], **pipes)
    runtime: Any = Watched(begun)
    with generator:
        assert launch.wait_for(runtime, generator) == ExitCode.INVALID
    said = capfd.readouterr()
    assert "the node second is down" in said.err
    assert "the node second is down stands in its report" in said.out
    assert generator.returncode == 0, "it was not killed"


def test_a_closing_terminal_interrupts_unless_nohup_started_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "NOHUP", False)
    with pytest.raises(Interrupted), launch.signals_as_interrupts():
        os.kill(os.getpid(), signal.SIGHUP)
    monkeypatch.setattr(launch, "NOHUP", True)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with launch.signals_as_interrupts(), launch.signals_ignored():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


class LeftUp(NoRuntime):
    """An engine that has stopped."""

    project = "lab-run-0"

    def down(self) -> None:
        raise LabDown("the containers could not be taken down")


def test_what_cannot_be_taken_down_is_said_and_left_to_the_next_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken_down: list[str] = []
    monkeypatch.setattr(launch, "ProcessRuntime", LeftUp)
    monkeypatch.setattr(compose, "take_down", taken_down.append)
    assert measured(1, monkeypatch)[0].code == ExitCode.CONFIRMED
    assert "could not be taken down" in capsys.readouterr().err
    measured(1, monkeypatch)
    assert taken_down == ["lab-run-0"]
    assert "Cleaning up after `make loadtest EXPERIMENT=class-based,slots`" in capsys.readouterr().err


def test_the_next_launcher_removes_a_projects_copy_and_its_users_passwords_and_keeps_what_was_measured(
    tmp_path: Path,
) -> None:
    folder, scratch = tmp_path / "run", tmp_path / "copy"
    for path in (folder / "raw" / "1.json", folder / "pages.toml", scratch / "app" / "manage.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert launch.clean_up({"command": "make loadtest", "folder": str(folder), "scratch": str(scratch)})
    assert (folder / "raw" / "1.json").exists()
    assert not (folder / "pages.toml").exists()
    assert not scratch.exists()
