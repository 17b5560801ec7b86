"""What one load generator does in a step: it puts on its share of the load, and says how it fared itself."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import count
from typing import Any

from locust.env import Environment

from loadtests.analysis.readings import difference
from loadtests.generator import own, sampler
from loadtests.generator.locust_users import Locustfile, LocustUsers
from loadtests.generator.plan import first_page_after
from loadtests.generator.record import Recorder
from loadtests.generator.trace import Trace
from loadtests.generator.users import Arrivals, Users, user_class
from loadtests.model.arrivals import SHAPES
from loadtests.model.measurement import UNANSWERED, GeneratorFigures, Measurement
from loadtests.model.share import ALONE, Share
from loadtests.model.target import Target

Load = Users | Arrivals | LocustUsers


class Watch:
    """Looks at this process from here on."""

    def __init__(self) -> None:
        self._cpu, self._waited = time.process_time(), sampler.own_wait()
        self._throttled, self._clock = sampler.own_throttled_seconds(), time.time() - time.monotonic()

    def figures(self, seconds: float) -> GeneratorFigures:
        """Return how it fared in these seconds."""
        return GeneratorFigures(
            cpu=(time.process_time() - self._cpu) / seconds,
            throttled=difference(self._throttled, sampler.own_throttled_seconds()),
            memory=sampler.own_limited_memory(),
            clock_step=abs(time.time() - time.monotonic() - self._clock),
            waited=difference(self._waited, sampler.own_wait()),
            seconds=seconds,
        )


class Part:
    """A step of this process. `cut_off`: pages that had not ended when it was over; `figures`: once it is closed."""

    def __init__(
        self, target: Target, project: own.Project | None, measurement: Measurement, share: Share = ALONE
    ) -> None:
        self.recorder = Recorder()
        self.cut_off = 0
        self.figures: GeneratorFigures | None = None
        self.trace = Trace() if os.environ.get("TRACE") == "1" and not share.index else None  # one page of all
        self._load = load(target, project, measurement, self, share)

    def start(self) -> None:
        self._load.start()

    @property
    def starting(self) -> int:
        """Return how many users are not ready."""
        return self._load.starting

    @property
    def unfinished(self) -> int:
        """Return how many pages of the window have not ended."""
        return self.recorder.out + self._load.unfinished

    def begin(self) -> None:
        self._load.begin()

    def open(self) -> None:
        self._watch = Watch()
        self.recorder.open()

    def report(self) -> None:
        """Bring the recorder up to date, which it always is here."""

    def close(self) -> None:
        self.recorder.close()
        self.figures = self._watch.figures(self.recorder.seconds)

    @property
    def generators(self) -> tuple[GeneratorFigures, ...]:
        return (self.figures or GeneratorFigures(0.0),)

    beside = ()  # of these, those of other processes

    def stop(self) -> None:
        """Begin no page that the load does not need to stay what it is."""
        self._load.stop()

    def quit(self) -> None:
        self._load.quit()
        self.cut_off = self.recorder.under_way
        self.recorder.give_up(UNANSWERED)
        if self.figures is not None:
            self.figures = replace(self.figures, lateness=self._load.lateness)


def load(target: Target, project: own.Project | None, measurement: Measurement, part: Part, share: Share) -> Load:
    """Return the load of a measurement, or this share of it, which has not begun."""
    recorder = part.recorder
    arm, level = measurement.arm, measurement.level
    users = share.number(level.users or 0)
    if isinstance(project, Locustfile):
        return LocustUsers(project, target, level.users or 0, recorder, share)
    attributes: dict[str, Any] = {
        "first_page_after": share.dealt(delays(target, measurement)),
        "query": arm.query,
        "method": arm.method,
        "recorder": recorder,
        "trace": part.trace,
        "streams": arm.streams,
        "think": level.think,
        "random": measurement.random(f" generator {share.index}" if share.index else ""),
    }
    if arm.patience is not None:
        attributes |= {"network_timeout": arm.patience, "connection_timeout": arm.patience, "pause_after_failure": 0.0}
    of_project = own.user_class(target, project, **attributes) if project else None
    environment = Environment(
        user_classes=[of_project or user_class(target, **attributes)],
        parsed_options=Namespace(strategy=arm.strategy, **asdict(measurement.settings)),
    )
    if not level.is_open:
        return Users(environment, users, recorder)
    moments = SHAPES[level.arrivals](level.amount, measurement.random())
    return Arrivals(environment, share.thinned(moments, measurement.random(" dealt")), recorder)


def delays(target: Target, measurement: Measurement) -> Iterator[float]:
    """Yield the seconds that each user waits before its first page."""
    users, random = measurement.level.users or 1, measurement.random()
    for user in count():
        wait = first_page_after(user, users, target.slots, measurement.turn, random)
        yield wait + measurement.level.think * random.random()
