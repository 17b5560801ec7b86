"""Walks the plan with Locust as a library, and loses nothing that it has measured.

This is the load generator: it runs in the `locust` service (a container, or a process beside the
others) and finds its targets in the environment. `launch.py` brings the services up and starts it.
"""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gevent
from gevent.event import Event
from gevent.monkey import get_original

from loadtests.analysis import capacity, machine, uncertainty, validity
from loadtests.analysis.histograms import Interval
from loadtests.analysis.readings import Reading, balance
from loadtests.analysis.server_metrics import inside
from loadtests.analysis.statistics import Measured, percentiles
from loadtests.errors import BadInput, ExitCode, Interrupted, LabError
from loadtests.experiments.own_workload import elsewhere
from loadtests.generator import locust_users, own, sampler, targets
from loadtests.generator.crew import Crew, SharedPart
from loadtests.generator.locust_users import Locustfile
from loadtests.generator.part import Part
from loadtests.generator.plan import NORMAL, QUICK, plan
from loadtests.generator.progress import Progress
from loadtests.generator.trace import Trace, send
from loadtests.generator.users import LONGEST_WAIT
from loadtests.model import addresses, knobs
from loadtests.model.experiment import Arm, Experiment
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import Measurement
from loadtests.model.prediction import Prediction
from loadtests.model.run_options import RunOptions
from loadtests.model.service import CLUSTERS
from loadtests.model.settings import Settings
from loadtests.model.summary import Summary
from loadtests.model.target import Target
from loadtests.report import terminal
from loadtests.report.delivery import deliver, reason
from loadtests.results import manifest, raw, summary
from loadtests.results.summary import Run

SURE_ENOUGH = 0.03  # of a figure, to either side, in its 95 % interval
LONGEST_DRAIN = 2.0  # times as long as pages are expected to need after the window
DRAIN_EXTRA = 40.0  # seconds beyond a step's length until abandoned pages must have ended; hanging calls take long
SAID = bytearray()  # by the launcher, of why the run has to end


@dataclass(frozen=True)
class Generator:
    """What every step of a run needs."""

    targets: Mapping[str, Target]
    settings: Settings
    folder: Path
    progress: Progress
    interrupted: Event
    project: own.Project | None = None
    crew: Crew | None = None  # of the processes that load, where this one does not

    def part(self, measurement: Measurement) -> Part | SharedPart:
        """Return what loads in a step."""
        target = self.targets[measurement.arm.target]
        made = self.crew.part if self.crew else Part
        return made(target, self.project, measurement)

    def pause(self, seconds: float) -> None:
        """Wait for `seconds`. Raises Interrupted when somebody stops the run meanwhile."""
        if self.interrupted.wait(max(0.0, seconds)):
            raise Interrupted


def main(asked: Experiment, options: RunOptions, folder: Path) -> ExitCode:
    """Measure, judge, write the report. Raises LabError when nothing could be measured."""
    console = terminal.console_for_people()
    urls = addresses.urls(os.environ["TARGETS"])
    project = own.project_in(folder)
    run_elsewhere = project is not None and set(asked.targets) != set(urls)
    experiment = options.applied_to(elsewhere(urls) if run_elsewhere else asked)
    settings = options.settings(experiment, os.environ)
    interrupted = stop_event()
    if missing := [name for name in experiment.targets if name not in urls]:
        raise BadInput(f"TARGETS has no {missing[0]}, which {experiment.name} measures; it has {', '.join(urls)}")
    paths = project.paths if project else None
    found = {
        name: targets.elsewhere(name, urls[name]) if run_elsewhere else targets.ask(name, urls[name], paths)
        for name in experiment.targets
    }

    for arm in experiment.arms:
        knobs.check_strategy(arm.strategy, found[arm.target].paths)

    number = options.generators or 1
    described = manifest.complete(folder, settings, found, repeats=experiment.repeats, quick=options.quick)
    described["knobs"]["generators"] = number
    if project:
        experiment, notes = own.measured_alone(experiment, found, project)
        described["warnings"] += notes

    def predict(arm: Arm, level: LoadLevel, turned: Settings) -> Prediction:
        return capacity.predict_arm(arm, turned, summary.deployment(found[arm.target], described), level)

    pace = QUICK if options.quick else NORMAL
    measurements = plan(experiment, settings, predict, pace)
    run = Run(
        experiment=experiment,
        settings=settings,
        targets=found,
        planned=len(measurements),
        measured=(),
        manifest=described,
    )
    uncertainty.load_scipy()
    pages = project.words if project else settings.words
    console.print(introduction(experiment, pages, found, measurements, number))
    unpredicted = {arm for arm in experiment.arms if arm.unknown or arm.strategy in found[arm.target].unpredicted}
    expected = {
        one.name: predict(one.arm, one.level, one.settings).goodput
        for one in measurements
        if one.arm not in unpredicted
    }
    interfaces = {name: target.interface for name, target in found.items()}
    with Progress(console, measurements, interfaces, expected) as progress:
        crew = Crew(number, folder, os.environ) if number > 1 else None
        generator = Generator(found, settings, folder, progress, interrupted, project, crew)
        if crew:
            crew.gather(generator.pause, progress.say)
        run = walk(generator, measurements, run)
        if crew:
            crew.quit()
    result = summarized(run)
    deliver(result, folder, console)
    if generator.interrupted.is_set():
        return ExitCode.INTERRUPTED
    return summary.verdict_of(result).exit_code


def summarized(run: Run) -> Summary:
    """Return what the run found, or a summary that says why its figures could not be put together."""
    try:
        return summary.summarize(run)
    except Exception as error:  # noqa: BLE001  # a bug, and what was measured is not to be had again
        because = f"the figures could not be put together ({reason(error)}); those of each step are under raw/."
        return summary.summarize(replace(run, measured=(), stopped_because=because))


def introduction(
    experiment: Experiment, pages: str, found: Mapping[str, Target], measurements: Sequence[Measurement], number: int
) -> str:
    """Return what is said before the first step. `number`: of load generators."""
    arms = "; ".join(f"{arm.words}, {slots_text(found[arm.target])}" for arm in experiment.arms)
    load = ", ".join(level.name for level in experiment.levels)
    seconds = sum(measurement.seconds for measurement in measurements)
    by = f" by {number} load generators" if number > 1 else ""
    return f"{experiment.name}: {pages}, at {load}{by}; about {seconds:.0f} s\n{arms}"


def slots_text(target: Target) -> str:
    if target.slots:
        return f"{target.slots} slots"
    return "no slots" if target.interface in target.identity["server"] else target.identity["server"]


def stop_event() -> Event:
    """Set by the signals that ask for an end, and when the launcher is gone, so that what was measured is written."""
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, stopped.set)
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        get_original("_thread", "start_new_thread")(stop_without_launcher, ())
    return stopped


def stop_without_launcher() -> None:
    """Wait, in a thread, for the end of standard input: the launcher holds its other end as long as it lives.

    It may say there why it ends the run.
    """
    while said := os.read(0, 1000):
        SAID.extend(said)
    os.kill(os.getpid(), signal.SIGTERM)


def walk(generator: Generator, measurements: Sequence[Measurement], run: Run) -> Run:
    """Measure one step after the other; the raw data of each is on disk before the next begins, or none does."""
    measured: list[Measured] = []
    warnings = list(run.manifest.get("warnings", ()))
    because = None
    try:
        for measurement in measurements:
            if busy := left_over(generator, measurement):
                because = f"{busy} before {measurement.name}: something else uses the lab."
                break
            outcome, intervals, trace = measure(generator, measurement)
            measured.append(outcome)
            generator.progress.ended(outcome.goodput, percentiles(outcome.response_times))
            try:
                raw.keep(generator.folder, outcome, intervals)
            except (OSError, LabError) as error:  # a full disk, which the figures in memory do not need
                warnings.append(f"The raw data of {measurement.name} could not be written: {reason(error)}.")
            if trace:
                warnings += keep_trace(generator, measurement, trace)
            if generator.crew and (faults := generator.crew.workers.faults):
                because = f"{'; '.join(faults)} in {measurement.words}, so the remaining steps were skipped."
                break
            if not outcome.pages and not measurement.arm.fails:
                failures = outcome.failures.most_common(1)
                fault = failures[0][0] if failures else "no answer came"
                because = f"no page of {measurement.name} was whole ({fault}), so the remaining steps were skipped."
                break
    except Interrupted:
        because = SAID.decode(errors="replace") or "it was interrupted."
    except Exception as error:  # noqa: BLE001  # a bug, and what was measured before it is not to be had again
        because = f"the load generator failed: {reason(error)}."
    warnings += own.unanswered(generator.targets) if generator.project else []
    if isinstance(generator.project, Locustfile):
        warnings += locust_users.notes(generator.project)
    described = {**run.manifest, "warnings": warnings}
    return replace(run, measured=tuple(measured), manifest=described, stopped_because=because)


def keep_trace(generator: Generator, measurement: Measurement, trace: Trace) -> Iterator[str]:
    """Write the spans of the page that was traced, give them to a collector if there is one, and yield what failed."""
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    lines = trace.lines(generator.targets[measurement.arm.target])
    try:
        raw.keep_spans(generator.folder, measurement, lines)
        if endpoint and lines:
            send(lines, endpoint)
    except (OSError, ValueError, KeyError, TypeError, LabError) as error:  # lines that are no spans, too
        yield f"The trace of {measurement.name} could not be handed over: {reason(error)}."


def left_over(generator: Generator, measurement: Measurement) -> str | None:
    """Let end what is in flight, as pages that were abandoned at a step's end may be; None when it has."""
    target = generator.targets[measurement.arm.target]
    deadline = time.monotonic() + DRAIN_EXTRA + measurement.seconds
    while True:
        calls = in_flight(target.api_metrics, "lab_calls_in_flight")
        pages = 0 if calls else in_flight(target.metrics, "lab_pages_in_flight")
        if not calls and not pages:
            return None
        left = f"{calls} calls at the api" if calls else f"{pages} pages at {measurement.arm.server}"
        if time.monotonic() > deadline:
            return f"there are still {left}"
        generator.progress.say(f"waiting for {left} to end")
        generator.pause(0.05)


def in_flight(metrics_url: str, name: str) -> int:
    """Return what a service has in flight; 0 also if it does not report it."""
    reading = sampler.read(metrics_url)
    return (reading.number(name) or 0) if reading else 0


def measure(generator: Generator, measurement: Measurement) -> tuple[Measured, list[Interval], Trace | None]:
    """Return what was measured, its interval log, and the page of it that was traced."""
    target = generator.targets[measurement.arm.target]
    part = generator.part(measurement)
    recorder = part.recorder
    generator.progress.begin(measurement, recorder.latest)
    try:
        part.start()
        while part.starting:  # a log-in takes CPU that is not the pages'
            generator.progress.say(f"{part.starting} users start")
            generator.pause(0.05)
        before = sampler.read(target.metrics), sampler.read(target.api_metrics)
        part.begin()
        generator.progress.wait(measurement.warm_up, generator.pause, lambda: "warming up")
        inner: list[Reading | None] = []
        api: list[Reading | None] = []

        def status() -> str:
            inner.append(sampler.read(target.metrics))
            api.append(sampler.read(target.api_metrics))
            return f"{len(recorder.ended)} pages"

        status()
        machine_before = sampler.moment()
        part.open()
        generator.progress.wait(measurement.window, generator.pause, status)
        while missing := seconds_missing(part, measurement):
            generator.progress.lengthen(missing)
            generator.progress.wait(missing, generator.pause, status)
        part.close()
        machine_after = sampler.moment()
        status()
        follow(generator, measurement, part)
    finally:
        part.quit()
    left_over(generator, measurement)  # what does not end is seen before the next step
    after = sampler.read(target.metrics), sampler.read(target.api_metrics)
    response_times, seen = recorder.response_times, inside(inner, api)
    used = machine.between(
        machine_before,
        machine_after,
        recorder.seconds,
        (
            seen.cpu_seconds,
            *([seen.api_cpu_seconds] if target.api_metrics else []),
            *(one.cpu * one.seconds for one in part.beside),
        ),
        (
            seen.run_queue_seconds,
            *([seen.api_run_queue_seconds] if target.api_metrics else []),
            *(one.waited for one in part.beside),
        ),
    )
    elsewhere = not target.metrics or os.environ.get("LAB_RUNTIME") in CLUSTERS
    if elsewhere or any(query in target.pools for query in capacity.OF_QUERIES):
        used = replace(used, others=None)  # nobody counts the CPU of a database server, or of what runs elsewhere
    measured = Measured(
        measurement=measurement,
        seconds=recorder.seconds,
        log=recorder.log,
        pages=response_times.get_total_count(),
        failures=recorder.failures,
        response_times=response_times,
        first_bytes=recorder.first_bytes,
        failure_times=recorder.failure_times,
        ended=len(recorder.ends),
        balance=balance(recorder.ended, part.cut_off, before, after),
        generators=part.generators,
        machine=used,
        inside=seen,
    )
    return measured, recorder.intervals, part.trace


def follow(generator: Generator, measurement: Measurement, part: Part | SharedPart) -> None:
    """Wait for the pages that began before the window was closed, so that each counts with all that it takes."""
    part.stop()
    deadline = time.monotonic() + max(LONGEST_WAIT, LONGEST_DRAIN * measurement.drain)
    while (out := part.unfinished) and time.monotonic() < deadline:
        generator.progress.say(f"{out} pages of the window have not ended")
        generator.pause(0.05)


def seconds_missing(part: Part | SharedPart, measurement: Measurement) -> float:
    """Return the seconds by which a window is lengthened: pages take longer than expected, or figures are uncertain.

    It becomes twice as long as planned at the most. Users go on meanwhile, so this must not take long.
    """
    if measurement.level.is_open:
        return 0.0
    part.report()
    log, seconds = part.recorder.log, part.recorder.seconds
    median = uncertainty.median_time(log)
    wanted = validity.TURNS * median * 1.02 if median else 2 * measurement.window  # nothing that began has ended
    if uncertainty.half_width(log, seconds, measurement.turn) > SURE_ENOUGH:
        wanted = max(wanted, seconds + measurement.window / 4)
    return max(0.0, min(measurement.whole_turns(wanted), 2 * measurement.window) - seconds)
