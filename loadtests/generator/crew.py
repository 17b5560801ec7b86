"""Several load generators: this process tells them what to do, and puts together what they have seen.

They are workers of Locust's distributed mode, which carries what is said as messages of a type of the lab's own, and
notices who is gone.
"""

from __future__ import annotations

import math
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import gevent
from locust.argument_parser import default_args_dict
from locust.env import Environment
from locust.exception import RPCError
from locust.runners import STATE_MISSING

from loadtests.analysis.histograms import merged
from loadtests.errors import LabDown
from loadtests.generator import locust_users, own
from loadtests.generator.assistant import MESSAGE, halves
from loadtests.generator.part import Watch
from loadtests.generator.trace import Trace
from loadtests.generator.workers import Merged, Worker, Workers
from loadtests.model.measurement import GeneratorFigures, Measurement
from loadtests.model.target import Target

LONGEST_START = 60.0  # seconds until all load generators have to be there
LONGEST_ANSWER = 20.0  # seconds; Locust notices after four who is gone
FILES = (own.PAGES, locust_users.FILE)  # of the run's folder, which say what users do


class SharedPart:
    """A step that several load generators share: the same as a Part to the one who leads it."""

    def __init__(self, crew: Crew, target: Target, project: own.Project | None, measurement: Measurement) -> None:
        most = measurement.level.users  # none is without a user
        self._crew, self._workers, self._project = crew, crew.workers.all[:most], project
        self._step = next(crew.steps)
        for worker in self._workers:
            worker.begin_step(self._step)
        self.recorder = Merged()
        self._merge()
        self._order = {
            "do": "start",
            "files": crew.files,
            "target": {**asdict(replace(target, identity={}, unpredicted=frozenset())), "unpredicted": ()},
            "measurement": asdict(measurement),
        }

    def _merge(self) -> None:
        """Put together what those have recorded that are left."""
        self.recorder.mirrors = [worker.mirror for worker in self._left]

    @property
    def _left(self) -> list[Worker]:
        return [worker for worker in self._workers if not worker.fault]

    def start(self) -> None:
        for index, worker in enumerate(self._workers):
            self._crew.tell(worker, {**self._order, "share": (index, len(self._workers)), "step": self._step})

    def _all(self, do: str, has_done: Callable[[Worker], bool]) -> None:
        """Let all do it at once, and wait until they have; who does not is left out from here on.

        Those with a fault are told as well, so that none goes on with the load. Raises LabDown where none is left.
        """
        for worker in self._workers:
            self._crew.tell(worker, {"do": do, "step": self._step})
        deadline = time.monotonic() + LONGEST_ANSWER
        while waiting := [worker for worker in self._left if not has_done(worker)]:
            gevent.sleep(0.001)
            self._crew.find_lost()
            if time.monotonic() > deadline:
                for worker in waiting:
                    worker.fault = f"did not answer for {LONGEST_ANSWER:g} s"
        self._merge()
        if not self._left:
            raise LabDown("; ".join(f"{worker.name} {worker.fault}" for worker in self._workers))

    @property
    def starting(self) -> int:
        self._crew.find_lost()
        return sum(worker.starting for worker in self._left)

    @property
    def unfinished(self) -> int:
        self._crew.find_lost()
        return sum(worker.unfinished for worker in self._left)

    @property
    def cut_off(self) -> int:
        return sum(worker.cut_off for worker in self._left)

    @property
    def trace(self) -> Trace | None:
        """Return the page that was traced, which is one of the first load generator."""
        return self._workers[0].trace

    @property
    def generators(self) -> tuple[GeneratorFigures, ...]:
        """Return how each fared, also those that are lost, and at last this process."""
        return (*self.beside, self._leader)

    @property
    def beside(self) -> tuple[GeneratorFigures, ...]:
        first = min(worker.opened for worker in self._left)
        return tuple(
            replace(
                worker.figures or GeneratorFigures(0.0),
                name=worker.name,
                fault=worker.fault,
                apart=0.0 if worker.fault else worker.opened - first,
            )
            for worker in self._workers
        )

    def begin(self) -> None:
        self._all("begin", lambda _: True)

    def open(self) -> None:
        self._watch = Watch()
        self._all("open", lambda worker: worker.mirror.opened_at < math.inf)
        self.recorder.started = min(mirror.started for mirror in self.recorder.mirrors)

    def report(self) -> None:
        told = {worker.client: worker.mirror.told_at for worker in self._workers}
        self._all("report", lambda worker: worker.mirror.told_at > told[worker.client])

    def close(self) -> None:
        self._all("close", lambda worker: worker.mirror.closed_at < math.inf)
        self.recorder.closed_at = time.perf_counter()
        self._leader = replace(self._watch.figures(self.recorder.seconds), name="the process that leads them")

    def stop(self) -> None:
        self._all("stop", lambda _: True)

    def quit(self) -> None:
        self._all("quit", lambda worker: worker.over)
        if isinstance(self._project, locust_users.Locustfile):
            self._project.by_status.update(*(worker.by_status for worker in self._workers))
        self.recorder.first_bytes = merged(mirror.first_bytes for mirror in self.recorder.mirrors)


class Crew:
    """The load generators of a run, and the one way to talk to them."""

    def __init__(self, number: int, folder: Path, environment: Mapping[str, str]) -> None:
        token, self._token = halves(environment["GENERATOR_TOKEN"])
        self.workers = Workers(number, token)
        self.steps = count()
        self.files = {name: (folder / name).read_text(encoding="utf-8") for name in FILES if (folder / name).exists()}
        host, _, port = environment["GENERATORS_ADDRESS"].rpartition(":")
        options = Namespace(**default_args_dict())  # the runner looks for some
        self._runner = Environment(parsed_options=options).create_master_runner(host, int(port))
        self._runner.register_message(MESSAGE, self._told)

    def gather(self, pause: Callable[[float], None], say: Callable[[str], None]) -> None:
        """Wait until all are there. Raises LabDown where one does not come, Interrupted."""
        deadline = time.monotonic() + LONGEST_START
        while len(self.workers.all) < self.workers.number:
            there = f"{len(self.workers.all)} of {self.workers.number} load generators"
            if time.monotonic() > deadline:
                raise LabDown(f"{there} came within {LONGEST_START:g} s: take fewer (GENERATORS=), or read their logs")
            say(f"{there} are there")
            pause(0.05)

    def part(self, target: Target, project: own.Project | None, measurement: Measurement) -> SharedPart:
        return SharedPart(self, target, project, measurement)

    def tell(self, worker: Worker, data: Mapping[str, Any]) -> None:
        try:
            self._runner.send_message(MESSAGE, {"token": self._token, **data}, client_id=worker.client)
        except RPCError as error:
            worker.fault = worker.fault or f"could not be told what to do ({error})"

    def find_lost(self) -> None:
        """Note who is gone: who said so, or whom Locust has not heard for a while."""
        there = [client for client, node in self._runner.clients.items() if node.state != STATE_MISSING]
        self.workers.find_lost(there)

    def quit(self) -> None:
        self._runner.quit()

    def _told(self, msg: Any, **_: Any) -> None:
        self.workers.hear(msg.node_id, msg.data)
