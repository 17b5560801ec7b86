"""Several load generators: this process tells them what to do, and puts together what they have seen.

They are workers of Locust's distributed mode, which carries what is said as messages of a type of the lab's own, and
notices who is gone. Each has a window on its own clock; what they recorded is put together page by page.
"""

from __future__ import annotations

import math
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hmac import compare_digest
from itertools import count
from operator import attrgetter, truediv
from pathlib import Path
from statistics import mean
from typing import Any

import gevent
from hdrh.histogram import HdrHistogram
from locust.argument_parser import default_args_dict
from locust.env import Environment
from locust.exception import RPCError
from locust.runners import STATE_MISSING

from loadtests.analysis.histograms import merged
from loadtests.errors import LabDown
from loadtests.generator import locust_users, own
from loadtests.generator.assistant import MESSAGE
from loadtests.generator.record import Recorder
from loadtests.model.measurement import GeneratorFigures, Measurement, Page
from loadtests.model.target import Target

LONGEST_START = 60.0  # seconds until all load generators have to be there
LONGEST_ANSWER = 20.0  # seconds; Locust notices after four who is gone
FILES = (own.PAGES, locust_users.FILE)  # of the run's folder, which say what users do


@dataclass
class Mirror(Recorder):
    """What another process has recorded of a step, in the moments of its own clock, as it was last reported."""

    told_at: float = 0.0
    told_under_way: int = 0

    @property
    def now(self) -> float:
        return self.told_at


@dataclass
class Worker:
    """Another load generator. `fault`: why it does not do its share, as a part of a sentence that begins with its name.

    What it says of the current step: users that are `starting`, pages `unfinished` and `cut_off`, its own `figures`,
    and whether it is `over`. `opened`: the moment at which this process heard that its window is open.
    """

    client: str
    name: str
    fault: str = ""
    mirror: Mirror = field(default_factory=Mirror)
    step: int = -1
    starting: int = 1
    unfinished: int = 0
    cut_off: int = 0
    opened: float = math.inf
    figures: GeneratorFigures | None = None
    over: bool = False

    def told(self, data: Mapping[str, Any]) -> None:
        """Note what it says of the current step."""
        mirror = self.mirror
        for name in ("starting", "unfinished", "cut_off", "over"):
            setattr(self, name, data[name])
        mirror.pages += map(tuple, data["pages"])
        mirror.told_at = data["now"]
        mirror.opened_at, mirror.closed_at, mirror.started = data["opened_at"], data["closed_at"], data["started"]
        if self.opened == math.inf > mirror.opened_at:
            self.opened = time.perf_counter()
        if data["figures"]:
            self.figures = GeneratorFigures(**data["figures"])
        if data["first_bytes"]:
            mirror.first_bytes = HdrHistogram.decode(data["first_bytes"])

    def begin_step(self, step: int) -> None:
        """Forget what was said of the step before."""
        vars(self).update(vars(Worker(self.client, self.name, self.fault, step=step)))


@dataclass
class Merged(Recorder):
    """What all load generators that are left have recorded, each in its own window."""

    mirrors: Sequence[Mirror] = ()

    @property
    def log(self) -> tuple[Page, ...]:
        return tuple(sorted((page for mirror in self.mirrors for page in mirror.log), key=attrgetter("ended")))

    @property
    def ends(self) -> list[float]:
        return [end for mirror in self.mirrors for end in mirror.ends]

    @property
    def seconds(self) -> float:
        """Return the seconds of the windows; once they are closed, those that make goodput the sum of all goodputs."""
        each = [mirror.seconds for mirror in self.mirrors]
        if self.closed_at < math.inf and all(each):
            counts = [len(mirror.ends) for mirror in self.mirrors]
            return sum(counts) / sum(map(truediv, counts, each)) if any(counts) else mean(each)
        return mean(each) if each else 0.0

    @property
    def ended(self) -> list[str | None]:
        return [fault for mirror in self.mirrors for fault in mirror.ended]

    def latest(self, seconds: float) -> list[float]:
        return [took for mirror in self.mirrors for took in mirror.latest(seconds)]


class SharedPart:
    """A step that several load generators share: the same as a Part to the one who leads it."""

    def __init__(self, crew: Crew, target: Target, project: own.Project | None, measurement: Measurement) -> None:
        most = measurement.level.users or len(crew.workers)  # none is without users
        self._crew, self._workers = crew, crew.workers[:most]
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
        """Let all do it at once, and wait until they have; who does not is left out from here on."""
        for worker in self._left:
            self._crew.tell(worker, {"do": do, "step": self._step})
        deadline = time.monotonic() + LONGEST_ANSWER
        while waiting := [worker for worker in self._left if not has_done(worker)]:
            gevent.sleep(0.001)
            self._crew.find_lost()
            if time.monotonic() > deadline:
                for worker in waiting:
                    worker.fault = f"did not answer for {LONGEST_ANSWER:g} s"
        self._merge()

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
    def generators(self) -> tuple[GeneratorFigures, ...]:
        """Return how each fared, also those that are lost."""
        first = min((worker.opened for worker in self._left), default=0.0)
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
        self._all("open", lambda worker: worker.mirror.opened_at < math.inf)
        self.recorder.started = min((mirror.started for mirror in self.recorder.mirrors), default=time.time())

    def close(self) -> None:
        self._all("close", lambda worker: worker.mirror.closed_at < math.inf)
        self.recorder.closed_at = time.perf_counter()

    def stop(self) -> None:
        self._all("stop", lambda _: True)

    def quit(self) -> None:
        self._all("quit", lambda worker: worker.over)
        self.recorder.first_bytes = merged(mirror.first_bytes for mirror in self.recorder.mirrors)


class Crew:
    """The load generators of a run, and the one way to talk to them."""

    def __init__(self, number: int, folder: Path, environment: Mapping[str, str]) -> None:
        self.workers: list[Worker] = []
        self.steps = count()
        self.files = {name: (folder / name).read_text(encoding="utf-8") for name in FILES if (folder / name).exists()}
        self._number, self._token = number, environment["GENERATOR_TOKEN"]
        host, _, port = environment["GENERATORS_ADDRESS"].rpartition(":")
        options = Namespace(**default_args_dict())  # the runner looks for some
        self._runner = Environment(parsed_options=options).create_master_runner(host, int(port))
        self._runner.register_message(MESSAGE, self._told)

    def gather(self, pause: Callable[[float], None], say: Callable[[str], None]) -> None:
        """Wait until all are there. Raises LabDown where one does not come, Interrupted."""
        deadline = time.monotonic() + LONGEST_START
        while len(self.workers) < self._number:
            if time.monotonic() > deadline:
                raise LabDown(f"{len(self.workers)} of {self._number} load generators came within {LONGEST_START:g} s")
            say(f"{len(self.workers)} of {self._number} load generators are there")
            pause(0.05)

    def part(self, target: Target, project: own.Project | None, measurement: Measurement) -> SharedPart:
        return SharedPart(self, target, project, measurement)

    def tell(self, worker: Worker, data: Mapping[str, Any]) -> None:
        try:
            self._runner.send_message(MESSAGE, dict(data), client_id=worker.client)
        except RPCError as error:
            worker.fault = f"could not be told what to do ({error})"

    def find_lost(self) -> None:
        """Note who is gone: who said so, or whom Locust has not heard for a while."""
        for worker in self.workers:
            node = self._runner.clients.get(worker.client)
            if not worker.fault and (node is None or node.state == STATE_MISSING):
                worker.fault = "was lost"

    @property
    def faults(self) -> list[str]:
        return [f"{worker.name} {worker.fault}" for worker in self.workers if worker.fault]

    def quit(self) -> None:
        self._runner.quit()

    def _told(self, msg: Any, **_: Any) -> None:
        data = msg.data
        if not compare_digest(str(data.get("token")), self._token):
            return  # of nobody whom the lab has started
        worker = next((one for one in self.workers if one.client == msg.node_id), None)
        if worker is None:
            if "name" in data and len(self.workers) < self._number:
                name = f"load generator {len(self.workers) + 1} ({data['name']})"
                self.workers.append(Worker(msg.node_id, name))
        elif "failed" in data:
            worker.fault = worker.fault or f"failed: {data['failed']}"
        elif data.get("step") == worker.step:
            worker.told(data)
