"""Measure properly: what the live page shows, one target at a time, by the run that `make loadtest` makes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gevent

from loadtests import ROOT
from loadtests.errors import BadInput
from loadtests.experiments import DEFAULT as EXPERIMENT
from loadtests.live.requested import RequestedLoad
from loadtests.model.load_level import users
from loadtests.model.run_options import RunOptions
from loadtests.results import manifest
from loadtests.results.folders import new_folder

STARTING = "starting"
LONGEST_LINE = 200  # characters of what the run says


class ProperRun:
    """A run in a process of its own, so that it neither ends with the page's load nor takes part in it.

    `folder`: of the newest run; `said`: its latest line.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.said = ""
        self._process: subprocess.Popen[str] | None = None
        self._following = gevent.spawn(lambda: None)

    @property
    def running(self) -> bool:
        return not self._following.ready()

    def refuse_load(self) -> None:
        """Raise BadInput while a run is measured, which more load would disturb."""
        if self.running:
            raise BadInput("A measurement is running, and other load would disturb it. Wait for it, or press Stop.")

    def refuse(self, requested: RequestedLoad) -> None:
        """Raise BadInput where this load cannot be measured, or not now."""
        self.refuse_load()
        if requested.strategy != "parallel":
            raise BadInput(
                f"Only the strategy 'parallel' is measured from here, and this is {requested.strategy!r}: "
                "`make experiments` lists the questions that have pages of their own."
            )

    def start(self, requested: RequestedLoad, results: Path, before: Mapping[str, Any]) -> Path:
        """Measure the requested load; return the folder. `before`: the manifest's first part. Raises BadInput."""
        texts = {name: str(value) for name, value in asdict(requested.settings).items()}
        options = RunOptions(users=users(requested.users), knobs=texts)
        command = [sys.executable, "-m", "loadtests", "measure", f"--experiment={EXPERIMENT}", *options.arguments]
        try:
            self.folder = new_folder(EXPERIMENT, results)
            manifest.write(before, self.folder)
            self._process = subprocess.Popen(
                [*command, f"--folder={self.folder}"],
                cwd=ROOT,
                stdin=subprocess.PIPE,  # its end is how the run notices that this process is gone
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except OSError as error:
            raise BadInput(f"Nothing is measured: {error.strerror}. Make room in {results}, then try again.") from error
        self.said = STARTING
        self._following = gevent.spawn(self._follow, self._process)
        return self.folder

    def stop(self) -> None:
        """Ask the run to end; what it has measured until then is in its report."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGINT)

    def _follow(self, process: subprocess.Popen[str]) -> None:
        """Keep what the run says, and in the end its verdict."""
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            if line.strip():
                self.said = line.strip()[:LONGEST_LINE]
        process.wait()
        if self.said == STARTING:
            self.said = "It was stopped before it had measured anything."
        with suppress(OSError, ValueError, KeyError, AttributeError):
            verdict = json.loads((self.folder / "summary.json").read_text())["verdict"]  # type: ignore[operator]
            self.said = f"{verdict['status'].upper()}: {verdict['headline']}"
