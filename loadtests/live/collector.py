"""Once a second: what users got, what the services say of themselves, what theory predicts for it."""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean

import gevent
import psutil
from locust.env import Environment

from loadtests.analysis import capacity
from loadtests.analysis.readings import Reading, counted_by_worker, grown, of_worker, p99
from loadtests.analysis.server_metrics import IN_FLIGHT
from loadtests.generator import sampler
from loadtests.live import workers
from loadtests.live.calibration import Calibration
from loadtests.live.controls import Controls
from loadtests.live.counts import PageCounts
from loadtests.live.history import History
from loadtests.live.requested import RequestedLoad, changes
from loadtests.live.second import WINDOW, Load, Second
from loadtests.live.sentence import Shown, Situation
from loadtests.live.steady_window import SteadyWindow, Tick
from loadtests.model.knobs import strategy_for
from loadtests.model.load_level import LoadLevel
from loadtests.model.prediction import Deployment, Prediction
from loadtests.model.server_metrics import LATENESS, LOOP_LAG
from loadtests.model.target import Target

TICK = 1.0  # seconds
LONGEST_READ = 2.0  # seconds that a sampler has to answer
API = "api"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or math.inf
# Of a target's container; as local processes nothing limits them.
LIMIT = float(os.environ["AGGREGATOR_CPUS"]) if os.environ.get("LAB_RUNTIME") == "docker" else None
CPU = "lab_cpu_seconds_total"

log = logging.getLogger(__name__)


class Collector:
    """`epoch` changes when a page has to draw everything anew."""

    def __init__(self, environment: Environment, controls: Controls, targets: Mapping[str, Target]) -> None:
        self.history = History()
        self.steady_window = SteadyWindow()
        self.epoch = int(time.time())  # also another one than before a restart
        self.targets = targets
        self.controls = controls
        self._machine_cpu: deque[float] = deque(maxlen=round(WINDOW / TICK))
        self._metrics = {name: target.metrics for name, target in targets.items()}
        if (api := next(iter(targets.values()))).api_metrics or not api.identity.get("project"):  # which may call none
            self._metrics[API] = api.api_metrics
        self._counts = PageCounts(targets)
        self._calibration = Calibration()
        self._last = time.monotonic()
        self._readings: dict[str, Reading | None] = {}
        self._api: deque[Reading | None] = deque(maxlen=round(WINDOW) + 1)
        self._requested: RequestedLoad | None = None  # while it runs
        self._idle = 0.0  # seconds since it ran
        self.shown: list[Shown] = []  # the targets that are loaded, or were when the load was stopped
        self._last_situation = Situation(running=False)  # when it was shown
        self._process = psutil.Process()
        self._workers_cpu = workers.collect(environment, self._counts)
        environment.events.request.add_listener(self._counts.page)  # type: ignore[no-untyped-call]

    def run(self) -> None:
        """Collect once a second, without an end."""
        due = time.monotonic()
        while True:
            due = max(due + TICK, time.monotonic())
            gevent.sleep(due - time.monotonic())
            try:
                self.tick()
            except Exception:
                log.exception("The live page missed a second")

    def reset(self) -> None:
        """Forget what was shown; the load goes on."""
        self.history = History()
        self.epoch += 1
        if not self.controls.running:
            self.steady_window.forget()
            self.shown = []

    @property
    def situation(self) -> Situation:
        """Return what was true of the figures that are shown; after a stop they and their reservations stay."""
        return replace(self._last_situation, running=self.controls.running)

    @property
    def settled(self) -> bool:
        """Return whether what is shown is what was asked for last, without pages of before."""
        now = self._last_situation
        return self._requested == self.controls.requested and now.running and now.since_change >= now.settled_after

    def tick(self) -> None:
        now = time.monotonic()
        length, self._last = now - self._last, now
        loads, readings, users = self._counts.take(), self._read(), self.controls.users
        generator_cpu = max(self._process.cpu_percent() / 100, self._workers_cpu())  # since the last time
        self._machine_cpu.append(psutil.cpu_percent() / 100)
        before, self._readings = self._readings, readings
        if (requested := self._notice()) is None:
            self._idle += length
            return  # what was shown last stands
        self._idle = 0.0
        of = {name: self._second(one, users[name], loads[name], length, before) for name, one in self.targets.items()}
        self._api.append(readings.get(API))
        latest = self.history.append(length, of)
        self.steady_window.add(
            Tick(
                at=time.time(),
                length=length,
                of=of,
                readings=readings,
                generator_cpu=generator_cpu,
                machine=sampler.moment(),
                throttled=sampler.own_throttled_seconds(),
                clock=time.time() - time.monotonic(),
                memory=sampler.own_limited_memory(),
            )
        )
        self.shown = [
            Shown(name, self.targets[name].slots, step) for name, step in latest.steps.items() if of[name].users
        ]
        self._last_situation = Situation(
            running=True,
            generator_cpu=generator_cpu,
            machine_cpu=fmean(self._machine_cpu),
            latency=requested.settings.latency,
            work=requested.settings.work,
            lateness=self._lateness(),
            since_change=self.steady_window.seconds,
            settled_after=self.steady_window.warm_up + WINDOW,
        )

    def _notice(self) -> RequestedLoad | None:
        """Return the load that runs; mark what was changed since the last second, here or on Locust's own page."""
        before = self._requested
        after = self._requested = self.controls.requested if self.controls.running else None
        if before == after:
            return after
        turned = changes(before, after) if before and after else ["start" if after else "stop"]
        self.history.marks.append((round(self.history.second, 1), ", ".join(turned)))
        if after:
            self.steady_window.begin(after, self._idle)
            self._calibration.begin(self.steady_window.draining)
        if before and after and before.strategy != after.strategy:
            self.epoch += 1
        return after

    def _second(
        self, target: Target, users: int, load: Load, length: float, readings: Mapping[str, Reading | None]
    ) -> Second:
        before, after = readings.get(target.name), self._readings[target.name]
        cpu, reading = grown(before, after, CPU), after or Reading()
        lags, alive = counted_by_worker(before, after, LOOP_LAG), reading.by_label(of_worker(IN_FLIGHT))
        self._calibration.add(target.name, load.pages, cpu)
        return Second(
            length=length,
            users=users,
            load=load,
            pages_in_flight=reading.number(IN_FLIGHT),
            calls_in_flight=reading.number("lab_upstream_calls_in_flight"),
            cpu_seconds=cpu,
            memory=reading.number("lab_memory_bytes"),
            predicted=self._predict(target, users),
            loop_lag={worker: late for worker, late in lags.items() if worker in alive},
        )

    def _predict(self, target: Target, users: int) -> Prediction | None:
        if not users or (requested := self._requested) is None:
            return None
        settings, strategy = requested.settings, strategy_for(requested.strategy, target.interface)
        if strategy in target.unpredicted:
            return None
        return capacity.predict(
            settings,
            strategy,
            Deployment(
                target.slots,
                capacity.cores(target.workers, LIMIT, CORES),
                target.workers,
                target.pools,
                round_trip=target.round_trip,
                api_round_trip=target.api_round_trip,
            ),
            LoadLevel(users=users),
            self._calibration.cpu_per_page(target.name, strategy, settings),
        )

    def _read(self) -> dict[str, Reading | None]:
        asked = {name: gevent.spawn(sampler.read, url) for name, url in self._metrics.items()}
        gevent.joinall(list(asked.values()), timeout=LONGEST_READ)
        return {name: one.value if one.successful() else None for name, one in asked.items()}

    def _lateness(self) -> float | None:
        """Return the api's lateness in seconds, 0 without calls; None if the api is silent."""
        if API not in self._metrics:
            return 0.0
        if not self._api or self._api[-1] is None:
            return None
        return p99(self._api[0], self._api[-1], LATENESS) or 0.0
