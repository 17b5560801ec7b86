"""What the page's controls do to the running test, with and without Locust workers."""

from __future__ import annotations

import math
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

from loadtests import knobs
from loadtests.analysis import capacity
from loadtests.knobs import Settings
from loadtests.live.wanted import Wanted
from loadtests.users import PageUser

MESSAGE = "knobs"
HIGHEST_SPAWN_RATE = 100.0  # users/s, beyond which Locust warns
WORKERS_READY = 10.0  # seconds that stopped workers have to be ready again


class Controls:
    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._classes: dict[str, type[PageUser]] = {}  # by target
        for one in (environment.available_user_classes or {}).values():
            if isinstance(one, type) and issubclass(one, PageUser):
                self._classes[one.target.name] = one
        self._one_at_a_time = BoundedSemaphore()
        self._starting: gevent.Greenlet | None = None
        self.strategies = knobs.strategies(next(iter(self._classes.values())).target.paths)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self._classes)

    @property
    def running(self) -> bool:
        return self._runner.state in {STATE_RUNNING, STATE_SPAWNING}

    @property
    def users(self) -> dict[str, int]:
        """Those there are, by target."""
        runner = self._runner
        if isinstance(runner, MasterRunner):
            counts: dict[str, int] = runner.reported_user_classes_count
        else:
            counts = runner.user_classes_count
        return {name: counts.get(one.__name__, 0) for name, one in self._classes.items()}

    @property
    def wanted(self) -> Wanted:
        """What is asked for now, from this page or from Locust's own; whatever runs already is not refused."""
        options: Any = self._environment.parsed_options
        loaded = tuple(name for name, one in self._classes.items() if one in self._environment.user_classes)
        total = self._runner.target_user_count if self.running else options.num_users or 1
        users = total // max(1, len(loaded)) if self.running else total
        return Wanted(
            users=min(knobs.MOST_USERS, max(1, users)),
            targets=loaded,
            strategy=options.strategy,
            settings=Settings(**{knob.name: getattr(options, knob.name) for knob in knobs.KNOBS}),
        )

    def start(self, wanted: Wanted) -> None:
        with self._one_at_a_time:
            self._turn(wanted)
            self._go(wanted)

    def turn(self, wanted: Wanted) -> None:
        """While nothing runs, what is started next."""
        with self._one_at_a_time:
            before = self.wanted
            self._turn(wanted)
            if self.running and (before.users, before.targets) != (wanted.users, wanted.targets):
                self._go(wanted)

    def stop(self) -> None:
        with self._one_at_a_time:
            self._stop()

    @property
    def _runner(self) -> Any:
        return self._environment.runner

    def _turn(self, wanted: Wanted) -> None:
        options: Any = self._environment.parsed_options
        options.num_users = wanted.users
        self._runner.send_message(MESSAGE, wanted.values)
        if isinstance(self._runner, MasterRunner):
            turn_options(options, wanted.values)

    def _go(self, wanted: Wanted) -> None:
        """Users who are there stay, unless they belong to a target that is no longer asked for."""
        classes = [self._classes[name] for name in wanted.targets]
        if self.running and set(classes) != set(self._environment.user_classes):
            self._stop()
        if not self.running:
            self._environment.user_classes = list(classes)
        if self._starting is not None:
            self._starting.kill()
        rate = min(HIGHEST_SPAWN_RATE, wanted.all_users / max(0.5, page_time(wanted)))
        self._starting = gevent.spawn(self._runner.start, wanted.all_users, spawn_rate=max(1.0, rate))

    def _stop(self) -> None:
        if self._starting is not None:
            self._starting.kill()
        self._runner.stop()
        if isinstance(self._runner, MasterRunner):
            with gevent.Timeout(WORKERS_READY, exception=False):
                while self._runner.state != "stopped" or not self._runner.clients.ready:
                    gevent.sleep(0.05)


def page_time(wanted: Wanted) -> float:
    """Users are spread over it when they start, so that their pages do not end in bursts."""
    return math.ceil(10 * capacity.page_time(wanted.settings, wanted.strategy)) / 10


def turn_options(options: Any, values: dict[str, Any]) -> None:
    """Where users look before each page."""
    for name in ("strategy", *(knob.name for knob in knobs.KNOBS)):
        setattr(options, name, values[name])


def listen(environment: Environment) -> None:
    """In every process that has users: what is turned reaches them."""
    runner = environment.runner
    if isinstance(runner, MasterRunner) or runner is None:
        return

    def turned(environment: Environment, msg: Any, **_: Any) -> None:
        turn_options(environment.parsed_options, msg.data)

    runner.register_message(MESSAGE, turned)


def is_worker(environment: Environment) -> bool:
    return isinstance(environment.runner, WorkerRunner)
