"""Save: the last steady window as a run's folder, with the report that `make loadtest` makes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import Any

from loadtests import ROOT
from loadtests.analysis.capacity import page_time
from loadtests.analysis.histograms import Interval
from loadtests.analysis.machine import between
from loadtests.analysis.readings import difference, grown
from loadtests.analysis.server_metrics import inside
from loadtests.analysis.statistics import Measured
from loadtests.analysis.verdict import Check
from loadtests.errors import BadInput
from loadtests.experiments.judging import how_long, judged
from loadtests.experiments.own_workload import BREAKS
from loadtests.live.requested import RequestedLoad
from loadtests.live.second import merged
from loadtests.live.steady_window import Steady, Tick
from loadtests.model.experiment import Arm, Experiment, Judgement, Point
from loadtests.model.knobs import strategy_for
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import GeneratorFigures, Measurement
from loadtests.model.summary import Summary
from loadtests.model.target import Target
from loadtests.model.units import digits
from loadtests.report import html
from loadtests.results import manifest, raw, summary
from loadtests.results.folders import new_folder
from loadtests.results.summary import Run

NAME = "live"
CLOSE = 0.15  # share by which goodput may part from the prediction
LESSON = "Does what was shown live follow the prediction?"


def known(requested: RequestedLoad, targets: Mapping[str, Target], runtime: str) -> dict[str, Any]:
    """Return the manifest's first part, as a launcher makes it. It may start a process, which a thread must not."""
    found = manifest.launched(ROOT, runtime, {}, command(requested, own=is_own(targets[requested.targets[0]])))
    found["warnings"].append("Made from the live page, which does not know what limits the services' CPU and memory.")
    return found


def save(
    steady: Steady, targets: Mapping[str, Target], results: Path, before: Mapping[str, Any]
) -> tuple[Path, Summary]:
    """Return the new folder and its summary; `before`: what is `known`. Raises BadInput if nothing can be saved."""
    loaded = [name for name in steady.requested.targets if steady.window[-1].of[name].users]
    measured = [measure(targets[name], steady) for name in loaded]
    folder = new_folder(NAME, results)
    try:
        manifest.write(before, folder)
        found = summary.summarize(run_of(measured, steady.requested, targets, folder))
        for one in measured:
            raw.keep(folder, one, intervals(one.measurement.arm.target, steady.window))
        summary.write(found, folder)
        html.write(found, folder)
    except OSError as error:
        rmtree(folder, ignore_errors=True)
        raise BadInput(
            f"Nothing was saved: {results} cannot be written to ({error.strerror}). Make room there, then save again."
        ) from error
    return folder, found


def run_of(measured: Sequence[Measured], requested: RequestedLoad, targets: Mapping[str, Target], folder: Path) -> Run:
    arms = tuple(one.measurement.arm for one in measured)
    levels = tuple({one.measurement.level for one in measured})
    return Run(
        experiment=Experiment(NAME, arms, levels, judge, lesson=LESSON),
        settings=requested.settings,
        targets=targets,
        planned=len(measured),
        measured=measured,
        manifest=manifest.complete(folder, requested.settings, targets, repeats=1, quick=False),
        objections=() if len(arms) < 2 else [together(arms)],
    )


def together(arms: Sequence[Arm]) -> Check:
    names = " and ".join(arm.server for arm in arms)
    return Check(
        "one target at a time",
        NAME,
        passed=False,
        value=f"{names} were loaded at once",
        limit="at most one",
        where="The live page",
        remedy="They took CPU from each other: load one of them, or run `make loadtest`, which takes turns.",
    )


def judge(points: Sequence[Point]) -> Judgement:
    """Judge one target: does it do what theory predicts?"""
    pairs = [(point, point.predicted.goodput if point.predicted else math.nan) for point in points]
    figures = "; ".join(
        f"{point.arm.server} served {digits(point.goodput)} pages/s at {point.level.name} ({how_long(point)}), "
        f"{digits(goodput)} predicted"
        for point, goodput in pairs
    )
    close = bool(pairs) and all(abs(point.goodput - goodput) <= CLOSE * goodput for point, goodput in pairs)
    return judged(close, "As predicted", figures)


def command(requested: RequestedLoad, *, own: bool) -> str:
    """Return the command that measures the same, or a sentence that says that there is none.

    `own`: the pages are those of a project of somebody's own.
    """
    if own:
        return f"make loadtest USERS={requested.users}, with the variables of this `make up`"
    numbers = {name: value for name, value in requested.values.items() if not isinstance(value, list | str)}
    asked = " ".join(f"{name.upper()}={value:g}" for name, value in numbers.items())
    if requested.strategy == "parallel":
        return f"make loadtest {asked}"
    return (
        f"No command measures this: make loadtest takes the strategies from its EXPERIMENT, and here it was "
        f"{requested.strategy}. Set it on the live page again: {asked}"
    )


def measure(target: Target, steady: Steady) -> Measured:
    name, requested, window, edge, end = target.name, steady.requested, steady.window, steady.edge, steady.window[-1]
    seconds, loads = sum(tick.length for tick in window), [tick.of[name].load for tick in window]
    pages = sum(load.pages for load in loads)
    arm = Arm(name, strategy_for(requested.strategy, target.interface), breaks=BREAKS if is_own(target) else {})
    level, turn = LoadLevel(users=end.of[name].users), page_time(requested.settings, arm.strategy)
    ticks = (edge, *window)
    clocks = [tick.clock for tick in ticks]
    seen = inside([tick.readings.get(name) for tick in ticks], [tick.readings.get("api") for tick in ticks])
    own = [tick.of[name].calls_in_flight for tick in window]
    if len(requested.targets) > 1 and (calls := [number for number in own if number is not None]):
        seen = replace(seen, calls_in_flight=median(calls), most_calls_in_flight=max(calls))
    services = [(edge.readings.get(service), end.readings.get(service)) for service in end.readings]
    return Measured(
        measurement=Measurement(arm, level, requested.settings, 0, steady.warm_up, seconds, turn),
        seconds=seconds,
        pages=pages,
        failures=sum((Counter(load.failures) for load in loads), Counter()),
        response_times=merged(loads),
        ended=pages,
        generators=(
            GeneratorFigures(
                cpu=sum(tick.generator_cpu * tick.length for tick in window) / seconds,
                throttled=difference(edge.throttled, end.throttled),
                memory=end.memory,
                clock_step=max(clocks) - min(clocks),
            ),
        ),
        machine=between(  # all that is loaded is the lab's
            edge.machine,
            end.machine,
            seconds,
            [grown(*readings, "lab_cpu_seconds_total") for readings in services],
            [grown(*readings, "lab_run_queue_seconds_total") for readings in services],
        ),
        inside=seen,
    )


def is_own(target: Target) -> bool:
    """Return whether it serves a project of somebody's own."""
    return "project" in target.identity


def intervals(name: str, window: Sequence[Tick]) -> list[Interval]:
    loads = [(tick.at - tick.length, tick.at, tick.of[name].load) for tick in window]
    return [(start, end, merged([load])) for start, end, load in loads if load.pages]
