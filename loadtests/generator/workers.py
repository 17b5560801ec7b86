"""What several load generators said, and what they recorded, put together page by page.

Each has its window on its own clock, so a page is placed by the time since the window of its generator was opened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from operator import attrgetter, truediv
from statistics import mean
from typing import Any

from hdrh.histogram import HdrHistogram

from loadtests.generator.record import Recorder
from loadtests.generator.trace import Trace
from loadtests.model.measurement import GeneratorFigures, Page


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

    What it says of the current step: users that are `starting`, pages `unfinished` and `cut_off`, the rows of a
    locustfile that are checked `by_status` alone, its own `figures`, and whether it is `over`. `opened`: the moment at
    which this process heard that its window is open.
    """

    client: str
    name: str
    fault: str = ""
    mirror: Mirror = field(default_factory=Mirror)
    step: int = -1
    starting: int = 1
    unfinished: int = 0
    cut_off: int = 0
    by_status: Sequence[str] = ()
    opened: float = math.inf
    figures: GeneratorFigures | None = None
    over: bool = False
    trace: Trace | None = None

    def told(self, data: Mapping[str, Any]) -> None:
        """Note what it says of the current step."""
        mirror = self.mirror
        for name in ("starting", "unfinished", "cut_off", "by_status", "over"):
            setattr(self, name, data[name])
        if missing := data["before"] - len(mirror.pages):
            self.fault = self.fault or f"reported {missing} pages that did not arrive: the network is full, or was cut"
        mirror.pages += map(tuple, data["pages"])
        mirror.told_at = data["now"]
        mirror.opened_at, mirror.closed_at, mirror.started = data["opened_at"], data["closed_at"], data["started"]
        if self.opened == math.inf > mirror.opened_at:
            self.opened = time.perf_counter()
        if data["figures"]:
            self.figures = GeneratorFigures(**data["figures"])
        if data["trace"]:
            self.trace = Trace(**data["trace"])
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
        each = [mirror.seconds for mirror in self.mirrors] or [0.0]
        if self.closed_at < math.inf and all(each):
            counts = [len(mirror.ends) for mirror in self.mirrors]
            return sum(counts) / sum(map(truediv, counts, each)) if any(counts) else mean(each)
        return mean(each)

    @property
    def ended(self) -> list[str | None]:
        return [fault for mirror in self.mirrors for fault in mirror.ended]

    def latest(self, seconds: float) -> list[float]:
        return [took for mirror in self.mirrors for took in mirror.latest(seconds)]


class Workers:
    """The load generators of a run, in the order in which they came. They know each other by a token."""

    def __init__(self, number: int, token: str) -> None:
        self.all: list[Worker] = []
        self.number, self._token = number, token.encode()

    def hear(self, client: str, data: Mapping[str, Any]) -> None:
        """Note what one says; of nobody whom the lab has not started."""
        if not compare_digest(str(data.get("token")).encode(), self._token):
            return
        worker = next((one for one in self.all if one.client == client), None)
        if worker is None:
            if "name" in data and len(self.all) < self.number:
                self.all.append(Worker(client, f"load generator {len(self.all) + 1} ({data['name']})"))
        elif "failed" in data:
            worker.fault = worker.fault or f"failed: {data['failed']}"
        elif data.get("step") == worker.step:
            worker.told(data)

    def find_lost(self, there: Collection[str]) -> None:
        """Note who is not among the clients that are there."""
        for worker in self.all:
            if not worker.fault and worker.client not in there:
                worker.fault = "was lost: it ended, or the network is full or cut"

    @property
    def faults(self) -> list[str]:
        return [f"{worker.name} {worker.fault}" for worker in self.all if worker.fault]
