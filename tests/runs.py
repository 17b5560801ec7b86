"""Runs of `python -m loadtests`, started as the Makefile starts them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from loadtests.errors import ExitCode
from loadtests.report.terminal import key_figures

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 240  # seconds that a run of a test may take; only a hang takes so long
MEASURED = (ExitCode.CONFIRMED, ExitCode.NOT_CONFIRMED, ExitCode.INVALID)  # which of them is for the machine to say


@dataclass(frozen=True)
class Ended:
    code: int
    output: str
    results: Path

    @property
    def folder(self) -> Path:
        """Of the run that `latest` leads to."""
        return (self.results / "latest").resolve()

    @property
    def summary(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return loaded


class Lab:
    """Starts commands of the lab with their own results folder; leaves no process behind."""

    def __init__(self, environment: Mapping[str, str], results: Path, root: Path = ROOT) -> None:
        self.results, self.root = results, root
        temporary = results.parent / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        own = {"RESULTS": str(results), "VENV": sys.prefix, "TMPDIR": str(temporary)}  # its locks are there
        self._environment = {**environment, **own}

    def run(self, *words: str, **variables: str) -> Ended:
        with self.started(*words, **variables) as process:  # type: ignore[arg-type]  # variables are texts
            output, _ = process.communicate(timeout=LONGEST)
        return Ended(process.returncode, output, self.results)

    @contextmanager
    def started(
        self,
        *words: str,
        nohup: bool = False,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.STDOUT,
        **variables: str,
    ) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtests", *words],
            cwd=self.root,
            env={**self._environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            preexec_fn=ignore_hangup if nohup else None,  # noqa: PLW1509  # the tests have no threads that matter here
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=LONGEST)

    def interrupt(self, process: subprocess.Popen[str]) -> Ended:
        """As Ctrl-C does."""
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LONGEST)
        return Ended(process.returncode, output, self.results)

    def wait_for(self, condition: Callable[[], Any], seconds: float = LONGEST) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.05)

    def raw_files(self) -> list[Path]:
        return sorted(self.results.glob("2*/raw/*.json"))


def ignore_hangup() -> None:
    """As nohup(1) does, which would write to a file where the output is a terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def refused(ended: Ended, name: str) -> list[dict[str, Any]]:
    """The failed checks of that name, in a run that is invalid and says so as a person needs it."""
    assert ended.code == ExitCode.INVALID, ended.output
    verdict = ended.summary["verdict"]
    failed = [check for check in ended.summary["checks"] if not check["passed"]]
    named = [check for check in failed if check["name"] == name]
    assert verdict["status"] == "invalid"
    assert named, verdict["sentence"]
    assert name in verdict["sentence"]
    assert failed[0]["remedy"] in verdict["sentence"]
    return named


def says_its_verdict(ended: Ended) -> None:
    """Whichever it is: in the exit status, the summary and the output alike, and with a report."""
    verdict = ended.summary["verdict"]
    assert ended.code in MEASURED, ended.output
    assert ended.summary["complete"], verdict["sentence"]
    assert verdict["status"] == ExitCode(ended.code).name.lower().replace("_", " ")
    said = " ".join(key_figures(verdict))
    assert one_line(f"{verdict['status'].upper()} {verdict['headline']} {said}") in one_line(ended.output)
    assert f"{ended.folder.name}/report.html" in one_line(ended.output)
    assert (ended.folder / "report.html").exists()


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def one_line(text: str) -> str:
    """Output without the line breaks that a narrow terminal made."""
    return " ".join(text.split())
