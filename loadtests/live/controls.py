"""What the page's controls do to the running test, with and without Locust workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner

from loadtests.analysis import capacity
from loadtests.generator.users import PageUser
from loadtests.live.properly import ProperRun
from loadtests.live.requested import RequestedLoad
from loadtests.live.swarm import Swarm
from loadtests.model import knobs
from loadtests.model.settings import Settings
from loadtests.model.target import Target

MESSAGE = "knobs"
HIGHEST_SPAWN_RATE = 100.0  # users/s, beyond which Locust warns
WORKERS_READY = 10.0  # seconds that stopped workers have to be ready again


class Controls:
    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        users: Mapping[str, Any] = environment.available_user_classes or {}
        self._classes: dict[str, type[PageUser]] = {one.target.name: one for one in users.values()}  # by target
        self._one_at_a_time = BoundedSemaphore()
        self.proper = ProperRun()
        self._starting = gevent.Greenlet()
        self._ending = gevent.Greenlet()  # stops the load when its run time is over
        self.strategies = knobs.strategies(next(iter(self._classes.values())).target.paths)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self._classes)

    @property
    def running(self) -> bool:
        return self._runner.state in {STATE_RUNNING, STATE_SPAWNING}

    @property
    def users(self) -> dict[str, int]:
        """Return how many users there are, by target."""
        of_workers = isinstance(self._runner, MasterRunner)
        counts = self._runner.reported_user_classes_count if of_workers else self._runner.user_classes_count
        return {name: counts.get(one.__name__, 0) for name, one in self._classes.items()}

    @property
    def requested(self) -> RequestedLoad:
        """Return what is requested now, from this page or from Locust's own; what runs already is not refused."""
        options: Any = self._environment.parsed_options
        loaded = tuple(name for name, one in self._classes.items() if one in self._environment.user_classes)
        total = self._runner.target_user_count if self.running else options.num_users or 1
        users = total // max(1, len(loaded)) if self.running else total
        return RequestedLoad(
            users=min(knobs.MOST_USERS, max(1, users)),
            targets=loaded,
            strategy=options.strategy,
            settings=Settings(**{knob.name: getattr(options, knob.name) for knob in knobs.KNOBS}),
        )

    @property
    def classes(self) -> dict[str, Target]:
        """Return the targets by user class, as Locust's own page names them."""
        return {one.__name__: one.target for one in self._classes.values()}

    def start(self, requested: RequestedLoad) -> None:
        with self._one_at_a_time:
            self.proper.refuse_load()
            self._end_after(None)
            self._turn(requested.users, requested.values)
            self._go(requested.targets, requested.all_users, spawn_rate(requested))

    def swarm(self, asked: Swarm) -> None:
        """Start, or change what runs, as Locust's own form asks for it."""
        with self._one_at_a_time:
            self.proper.refuse_load()
            self._end_after(asked.run_time)
            self._turn(asked.users, asked.values)
            self._environment.parsed_options.spawn_rate = asked.spawn_rate  # type: ignore[union-attr]
            self._go(asked.targets, asked.users, asked.spawn_rate)

    def turn(self, requested: RequestedLoad) -> None:
        """Change what runs; while nothing runs, change what is started next."""
        with self._one_at_a_time:
            before = self.requested
            self._turn(requested.users, requested.values)
            if self.running and (before.users, before.targets) != (requested.users, requested.targets):
                self._go(requested.targets, requested.all_users, spawn_rate(requested))

    def measure(self, results: Path, before: Callable[[], dict[str, Any]]) -> Path:
        """Stop the load, measure it properly, and return the run's folder. `before`: the manifest's first part."""
        with self._one_at_a_time:
            requested = self.requested
            self.proper.refuse(requested)
            self._end_after(None)
            self._stop()
            return self.proper.start(requested, results, before())

    def stop(self) -> None:
        self.proper.stop()
        with self._one_at_a_time:
            self._end_after(None)
            self._stop()

    @property
    def _runner(self) -> Any:
        return self._environment.runner

    def _turn(self, users: int, values: Mapping[str, Any]) -> None:
        options: Any = self._environment.parsed_options
        options.num_users = users
        turn_options(options, values)
        self._runner.send_message(MESSAGE, values)

    def _go(self, targets: Sequence[str], users: int, rate: float) -> None:
        """Start users. Those who are there stay, unless their target is no longer asked for.

        Classes change only while there are no users: Locust cannot stop one whose class it does not know.
        """
        classes = [self._classes[name] for name in targets]
        if self.running and set(classes) != set(self._environment.user_classes):
            self._stop()
        if users < self._runner.user_count:
            rate = HIGHEST_SPAWN_RATE  # those who leave need not be spread
        if not self.running:
            self._environment.user_classes = list(classes)
        self._starting.kill()
        self._starting = gevent.spawn(self._runner.start, users, spawn_rate=rate)

    def _stop(self) -> None:
        self._starting.kill()
        self._runner.stop()
        if isinstance(self._runner, MasterRunner):
            with gevent.Timeout(WORKERS_READY, exception=False):
                while self._runner.state != "stopped" or not self._runner.clients.ready:
                    gevent.sleep(0.05)

    def _end_after(self, seconds: float | None) -> None:
        """Stop what runs in so many seconds; None: only when somebody stops it."""
        self._ending.kill()
        if seconds is not None:
            self._ending = gevent.spawn_later(seconds, self._end)

    def _end(self) -> None:
        with self._one_at_a_time:
            self._stop()


def spawn_rate(requested: RequestedLoad) -> float:
    """Return the users per second that spread them over the time of a page, so that pages do not end in bursts."""
    page_time = math.ceil(10 * capacity.page_time(requested.settings, requested.strategy)) / 10
    return max(1.0, min(HIGHEST_SPAWN_RATE, requested.all_users / max(0.5, page_time)))


def turn_options(options: Any, values: Mapping[str, Any]) -> None:
    """Set the options, which users look at before each page."""
    for name in ("strategy", *(knob.name for knob in knobs.KNOBS)):
        setattr(options, name, values[name])


def listen(environment: Environment) -> None:
    """Turn in this process what is turned in another one."""
    runner: Any = environment.runner

    def turned(environment: Environment, msg: Any, **_: Any) -> None:
        turn_options(environment.parsed_options, msg.data)

    runner.register_message(MESSAGE, turned)
