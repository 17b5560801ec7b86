"""A load generator that does its share for another one, which tells it what: a worker of Locust's distributed mode."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hmac import compare_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gevent
from locust.env import Environment
from locust.exception import RPCError

from loadtests.generator import own
from loadtests.generator.locust_users import Locustfile
from loadtests.generator.part import Part
from loadtests.model.experiment import Arm
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import Measurement
from loadtests.model.settings import Settings
from loadtests.model.share import Share
from loadtests.model.target import Target

MESSAGE = "lab"  # its type, among Locust's own
REPORT_EVERY = 0.25  # seconds
MOST_PAGES = 20_000  # of a message


def assist(host: str, port: int, token: str) -> None:
    """Do what the load generator at this address says until it says quit, or is gone. Raises LabError."""
    runner = Environment().create_worker_runner(host, port)
    with TemporaryDirectory(prefix="lab-") as folder:
        assistant = Assistant(runner, token, Path(folder))
        runner.register_message(MESSAGE, assistant.told)
        assistant.say(name=f"process {os.getpid()} of {socket.gethostname()}")
        runner.greenlet.join()


@dataclass
class Step:
    """A step of the run: its number, this generator's part of it, and how many of its pages were reported."""

    number: int
    part: Part
    reported: int = 0
    over: bool = False


class Assistant:
    def __init__(self, runner: Any, token: str, folder: Path) -> None:
        self._runner, self._folder = runner, folder
        self._token, self._leaders = halves(token)
        self._step: Step | None = None
        self._project: own.Project | None = None

    def say(self, **data: Any) -> None:
        self._runner.send_message(MESSAGE, {"token": self._token, **data})

    def told(self, msg: Any, **_: Any) -> None:
        """Do what the other one asks for: a step's part is started, begun, opened, closed, stopped and ended.

        Of nobody else, who may have been faster at the address: what users do is code.
        """
        if not compare_digest(str(msg.data.get("token")).encode(), self._leaders.encode()):
            return
        try:
            if msg.data["do"] == "start":
                self._start(msg.data)
            elif self._step and msg.data["step"] == self._step.number:
                getattr(self._step.part, msg.data["do"])()
                self._step.over = msg.data["do"] == "quit"
            self._report()
        except Exception as error:  # noqa: BLE001  # said by the one who can stop the run
            self.say(failed=repr(error)[:300])

    def _start(self, data: Mapping[str, Any]) -> None:
        if self._step is None:  # a locustfile that is imported again adds its listeners again
            for name, text in data["files"].items():
                (self._folder / name).write_text(text, encoding="utf-8")
            self._project = own.project_in(self._folder)
        part = Part(
            Target(**data["target"]),
            self._project,
            measurement_of(data["measurement"]),
            Share(*data["share"]),
        )
        self._step = Step(data["step"], part)
        part.start()
        gevent.spawn(self._keep_reporting, self._step)

    def _keep_reporting(self, step: Step) -> None:
        while step is self._step and not step.over:
            gevent.sleep(REPORT_EVERY)
            if step is self._step:
                self._report()

    def _report(self) -> None:
        """Send what is new; what could not be sent is new again the next time."""
        if (step := self._step) is None:
            return
        recorder, part = step.part.recorder, step.part
        now = time.perf_counter()
        while True:
            pages = recorder.pages[step.reported : step.reported + MOST_PAGES]
            last = step.reported + len(pages) == len(recorder.pages)
            try:
                self.say(
                    step=step.number,
                    now=now,
                    before=step.reported,
                    pages=pages,
                    opened_at=recorder.opened_at,
                    closed_at=recorder.closed_at,
                    started=recorder.started,
                    first_bytes=recorder.first_bytes.encode() if step.over else None,
                    starting=part.starting,
                    unfinished=part.unfinished,
                    cut_off=part.cut_off,
                    trace=asdict(part.trace) if part.trace and step.over else None,
                    figures=asdict(part.figures) if part.figures else None,
                    by_status=sorted(self._project.by_status) if isinstance(self._project, Locustfile) else [],
                    over=step.over and last,
                )
            except RPCError:
                return
            step.reported += len(pages)
            if last:
                return


def halves(token: str) -> tuple[str, str]:
    """Return by what a worker is known, and by what the one who leads: neither can be made of the other."""
    return token[: len(token) // 2], token[len(token) // 2 :]


def measurement_of(data: Mapping[str, Any]) -> Measurement:
    """Return a measurement from its fields, as asdict() makes them."""
    of = {"arm": Arm(**data["arm"]), "level": LoadLevel(**data["level"]), "settings": Settings(**data["settings"])}
    return Measurement(**{**data, **of})
