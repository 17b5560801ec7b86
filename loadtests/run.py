"""Walks the plan with Locust as a library, and loses nothing that it has measured.

This is the load generator: it runs in the `locust` service (a container, or a process beside the
others) and finds its targets in the environment. `launch.py` brings the services up and starts it.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gevent
import psutil
from gevent.event import Event
from locust.env import Environment
from rich.console import Console

from loadtests import experiments, knobs, manifest, targets, witness
from loadtests.analysis import capacity, validity
from loadtests.analysis.inside import inside
from loadtests.analysis.readings import Reading
from loadtests.analysis.statistics import Measured, percentile
from loadtests.errors import ExitCode, Interrupted
from loadtests.experiments import Arm, Experiment
from loadtests.knobs import Settings
from loadtests.plan import NORMAL, QUICK, Measurement, first_page_after, plan
from loadtests.progress import Progress
from loadtests.record import Recorder
from loadtests.report import html, summary, terminal
from loadtests.report.summary import Run
from loadtests.targets import Target
from loadtests.users import user_class

QUICK_LATENCY = "0.2"  # seconds
DRAIN_EXTRA = 40.0  # seconds beyond a step's length until abandoned pages must have ended; hanging calls take long


@dataclass(frozen=True)
class Generator:
    """What every step of a run needs."""

    targets: Mapping[str, Target]
    witnesses: Mapping[str, str]
    api: str
    settings: Settings
    folder: Path
    progress: Progress
    interrupted: Event

    def pause(self, seconds: float) -> None:
        """Raises Interrupted when somebody stops the run meanwhile."""
        if self.interrupted.wait(max(0.0, seconds)):
            raise Interrupted


def main(options: Namespace) -> ExitCode:
    """Measure, judge, write the report. Raises LabError when nothing could be measured."""
    console = Console(highlight=False)
    folder = Path(options.folder)
    experiment = experiments.find(options.experiment)
    if options.users:
        experiment = replace(experiment, users=options.users)
    settings = chosen_settings(options)
    found = {name: targets.ask(name, url) for name, url in targets.urls(os.environ["TARGETS"]).items()}

    for arm in experiment.arms:
        knobs.check_strategy(arm.strategy, found[arm.target].paths)

    def response_time(arm: Arm, users: int) -> float:
        deployment = capacity.Deployment(found[arm.target].slots)
        return capacity.predict(settings, arm.strategy, deployment, users).response_time

    pace = QUICK if options.quick else NORMAL
    steps = plan(experiment.arms, experiment.users, options.repeats, response_time, pace)
    run = Run(
        experiment=experiment,
        settings=settings,
        targets=found,
        planned=len(steps),
        measured=(),
        manifest=manifest.complete(folder, options, settings, found),
    )
    console.print(introduction(experiment, settings, found, steps))
    with Progress(console, seconds=sum(step.seconds for step in steps), steps=len(steps)) as progress:
        witnesses = targets.urls(os.environ["WITNESSES"])
        generator = Generator(found, witnesses, witnesses["api"], settings, folder, progress, stop_event())
        run = walk(generator, steps, run)
    result = summary.summarize(run)
    summary.write(result, folder)
    terminal.show(result, console)
    html.write(result, folder)
    if generator.interrupted.is_set():
        return ExitCode.INTERRUPTED
    return summary.verdict_of(result).exit_code


def chosen_settings(options: Namespace) -> Settings:
    """What was asked for on the command line; else, in a quick run, its latency; else compose.yaml's."""
    texts = {knob.name: os.environ.get(knob.variable, "") for knob in knobs.KNOBS}
    if options.quick:
        texts["latency"] = QUICK_LATENCY
    asked = {knob.name: getattr(options, knob.name) for knob in knobs.KNOBS}
    return knobs.settings(texts | {name: text for name, text in asked.items() if text})


def introduction(
    experiment: Experiment, settings: Settings, found: Mapping[str, Target], steps: Sequence[Measurement]
) -> str:
    arms = " against ".join(
        f"{arm.strategy} on {arm.target} ({slots_text(found[arm.target].slots)})" for arm in experiment.arms
    )
    users = ", ".join(str(step) for step in experiment.users)
    seconds = sum(step.seconds for step in steps)
    return (
        f"{experiment.name}: {arms}, {settings.fan_out} calls × {settings.latency:g} s a page, "
        f"at {users} users; about {seconds:.0f} s"
    )


def slots_text(slots: int | None) -> str:
    return f"{slots} slots" if slots else "no slots"


def stop_event() -> Event:
    """Set by the signals that ask for an end, so that what was measured can still be written."""
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, stopped.set)
    return stopped


def walk(generator: Generator, steps: Sequence[Measurement], run: Run) -> Run:
    """Measure one step after the other; the raw data of each is on disk before the next begins."""
    measured: list[Measured] = []
    because = None
    try:
        for step in steps:
            if busy := calls_left(generator, step):
                because = f"the api still has {busy} calls in flight before {step.name}: something else uses the lab."
                break
            measured.append(measure(generator, step))
            if not measured[-1].pages:
                failures = measured[-1].failures.most_common(1)
                fault = failures[0][0] if failures else "no answer came"
                because = f"{step.name} brought no whole page ({fault}), and the rest was left out."
                break
    except Interrupted:
        because = "it was interrupted."
    return replace(run, measured=tuple(measured), stopped_because=because)


def calls_left(generator: Generator, step: Measurement) -> int:
    """Pages that were abandoned at the end of a step go on under WSGI: let them end; 0 when they have."""
    deadline = time.monotonic() + DRAIN_EXTRA + step.seconds
    while True:
        reading = witness.read(generator.api)
        left = (reading.number("lab_calls_in_flight") or 0) if reading else 0
        if not left or time.monotonic() > deadline:
            return left
        generator.progress.say(f"waiting for {left} calls of the last step to end")
        generator.pause(0.2)


def measure(generator: Generator, step: Measurement) -> Measured:
    target = generator.targets[step.arm.target]
    recorder = Recorder()
    environment = Environment(
        user_classes=[user_class(target, first_page_after=delays(generator, step))],
        parsed_options=Namespace(strategy=step.arm.strategy, **asdict(generator.settings)),
    )

    def page_ended(response_time: float, exception: Exception | None, **_: Any) -> None:
        recorder.page(response_time / 1000, str(exception) if exception else None)

    environment.events.request.add_listener(page_ended)  # type: ignore[no-untyped-call]
    runner = environment.create_local_runner()
    process = psutil.Process()
    generator.progress.begin(step)
    try:
        runner.start(step.users, spawn_rate=step.users)
        generator.progress.wait(step.warm_up, generator.pause, lambda: "warming up")
        inner: list[Reading | None] = []
        api: list[Reading | None] = []

        def status() -> str:
            inner.append(witness.read(generator.witnesses[step.arm.target]))
            api.append(witness.read(generator.api))
            return f"{recorder.pages} pages"

        status()
        cpu_before, throttled_before = sum(process.cpu_times()[:2]), witness.own_throttled_seconds()
        clock_before = time.time() - time.monotonic()
        recorder.open()
        generator.progress.wait(step.window, generator.pause, status)
        while missing := seconds_missing(recorder, step):
            generator.progress.wait(missing, generator.pause, status)
        recorder.close()
        status()
        memory = witness.own_limited_memory()
    finally:
        runner.quit()
    middle = recorder.seconds / 2
    measured = Measured(
        measurement=step,
        seconds=recorder.seconds,
        pages=recorder.pages,
        failures=recorder.failures,
        response_times=recorder.response_times,
        early=sum(end < middle for end in recorder.ends),
        late=sum(end >= middle for end in recorder.ends),
        generator_cpu=(sum(process.cpu_times()[:2]) - cpu_before) / recorder.seconds,
        generator_throttled=difference(throttled_before, witness.own_throttled_seconds()),
        generator_memory=memory,
        clock_step=abs(time.time() - time.monotonic() - clock_before),
        inside=inside(inner, api),
    )
    keep(generator.folder, recorder, measured)
    return measured


def seconds_missing(recorder: Recorder, step: Measurement) -> float:
    """How much longer a window has to be, because pages take longer than expected; twice as long at the most."""
    median = percentile(recorder.response_times, 50) or 0.0
    wanted = min(validity.TURNS * median * 1.02, 2 * step.window)
    return max(0.0, wanted - recorder.elapsed)


def difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def delays(generator: Generator, step: Measurement) -> Iterator[float]:
    slots = generator.targets[step.arm.target].slots
    page_time = capacity.page_time(generator.settings, step.arm.strategy)
    return (first_page_after(user, step.users, slots, page_time) for user in itertools.count())


def keep(folder: Path, recorder: Recorder, measured: Measured) -> None:
    """The raw data of one measurement: the interval log, and the counts beside it."""
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    name = measured.measurement.name
    recorder.write_log(raw / f"{name}.hlog")
    counts = {
        "measurement": asdict(measured.measurement),
        "seconds": measured.seconds,
        "pages": measured.pages,
        "failures": dict(measured.failures),
        "generator_cpu": measured.generator_cpu,
        "generator_throttled": measured.generator_throttled,
        "generator_memory": measured.generator_memory,
        "clock_step": measured.clock_step,
        "inside": asdict(measured.inside),
    }
    (raw / f"{name}.json").write_text(json.dumps(counts, indent=2) + "\n")
