"""What theory predicts for the deployment that compose.yaml describes: a table, without any load."""

from __future__ import annotations

import json
import math
import os
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests import experiments, knobs, results
from loadtests.analysis import capacity
from loadtests.analysis.capacity import Deployment, Prediction
from loadtests.errors import BadInput, ExitCode
from loadtests.experiments import Arm, Experiment
from loadtests.knobs import Settings
from loadtests.plan import NORMAL, QUICK, plan
from loadtests.runtime import GENERATOR, ROOT
from loadtests.runtime.processes import Service, read_services
from loadtests.step import Step


@dataclass(frozen=True, slots=True)
class Row:
    arm: Arm
    step: Step
    prediction: Prediction


def main(options: Namespace) -> ExitCode:
    """Print the table. Raises BadInput."""
    services = read_services((ROOT / "compose.yaml").read_text(), os.environ)
    if len(options.experiments) != 1:
        raise BadInput(f"one EXPERIMENT is predicted at a time; there are {len(options.experiments)}")
    experiment = experiments.find(options.experiments[0])
    if options.quick:
        experiment = experiment.quickened()
    settings = experiments.settings(experiment, options, services[GENERATOR].environment)
    calibrated = cpu_of_latest_run(settings.fan_out)
    steps = (*options.users, *options.rate) or experiment.steps
    console = Console(highlight=False)
    console.print(introduction(settings, calibrated))
    console.print()
    console.print(table(list(rows(experiment, steps, settings, services, calibrated))))
    return ExitCode.CONFIRMED


def seconds(experiment: Experiment, *, quick: bool) -> float:
    """How long its steps take. Raises BadInput."""
    if experiment.probe is not None:
        return experiment.probe.seconds[quick]
    services = read_services((ROOT / "compose.yaml").read_text(), os.environ)
    if quick:
        experiment = experiment.quickened()
    nothing_asked = Namespace(**{knob.name: "" for knob in knobs.KNOBS})
    settings = experiments.settings(experiment, nothing_asked, services[GENERATOR].environment)

    def predict(arm: Arm, step: Step, turned: Settings) -> Prediction:
        limits = deployment(services[arm.target])
        pools = limits.pools if arm.pool is None else {arm.strategy: arm.pool}
        return capacity.predict(turned, arm.strategy, replace(limits, pools=pools), step, holds=arm.holds)

    pace = QUICK if quick else NORMAL
    return sum(step.seconds for step in plan(experiment, settings, experiment.repeats, predict, pace))


def rows(
    experiment: Experiment,
    steps: tuple[Step, ...],
    settings: Settings,
    services: Mapping[str, Service],
    calibrated: Mapping[tuple[str, str], float],
) -> Iterator[Row]:
    for number, arm in enumerate(experiment.arms):
        twins = (other for other in experiment.arms[:number] if replace(other, label=arm.label) == arm)
        if not arm.predictable or any(twins):
            continue
        cpu = calibrated.get((arm.target, arm.strategy), 0.0)
        for step in steps:
            limits = deployment(services[arm.target])
            turned = settings.turned({**arm.knobs, **step.knobs})
            predicted = capacity.predict(turned, arm.strategy, limits, step, cpu, holds=arm.holds)
            yield Row(arm, step, predicted)


def deployment(service: Service) -> Deployment:
    """What compose.yaml gives a target. Raises BadInput."""
    try:
        workers, threads = (int(service.environment[name]) for name in ("WORKERS", "THREADS"))
        sizes = {"gather": "MAX_CONNECTIONS", "threadpool": "THREADPOOL"}
        return Deployment(
            slots=workers * threads or None,
            cores=min(workers, float(service.cpus or math.inf)),
            pools={name: workers * int(service.environment[size]) for name, size in sizes.items()},
        )
    except (KeyError, ValueError) as error:
        raise BadInput(f"compose.yaml, or a variable it reads, does not say what {service.name} is: {error}") from error


def cpu_of_latest_run(fan_out: int) -> dict[tuple[str, str], float]:
    """CPU seconds per page by target and strategy, from the latest run that measured any; empty without one."""
    return next(filter(None, (cpu_of(path, fan_out) for path in results.summaries())), {})


def cpu_of(path: Path, fan_out: int) -> dict[tuple[str, str], float]:
    """CPU seconds per page by target and strategy, as a run measured them; empty where it is damaged.

    Scaled to this fan-out as if a page cost nothing but its calls, which is most of the truth.
    """
    try:
        summary: Any = json.loads(path.read_text())
        scale = fan_out / summary["manifest"]["knobs"]["fan_out"]
        arms = {(arm["target"], arm["strategy"]): arm["cpu_per_page_calibrated"] for arm in summary["arms"]}
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return {}
    return {arm: cpu * scale for arm, cpu in arms.items() if isinstance(cpu, int | float)}


def introduction(settings: Settings, calibrated: Mapping[tuple[str, str], float]) -> str:
    cpu = ", ".join(f"{target} {strategy} {value * 1000:.1f} ms" for (target, strategy), value in calibrated.items())
    of = (
        f"CPU per page from the latest run that measured it, scaled to this fan-out ({cpu})"
        if cpu
        else "CPU left out: no run has measured it yet"
    )
    return f"Predicted, not measured, for {settings.words}; {of}."


def table(found: list[Row]) -> Table:
    """Fits into 80 columns."""
    grid = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim")
    grid.add_column("target")
    grid.add_column("strategy")
    for heading in ("load", "pages/s", "response s", "limited by", "calls in flight"):
        grid.add_column(heading, justify="right")
    for row in found:
        predicted = row.prediction
        grid.add_row(
            row.arm.target,
            row.arm.words.removeprefix(f"{row.arm.target} "),
            row.step.name,
            figure(predicted.goodput, 1),
            figure(predicted.response_time, 3, otherwise="no end"),
            Text(predicted.bottleneck),
            figure(predicted.calls_in_flight, 0),
        )
    return grid


def figure(value: float, digits: int, otherwise: str = "no limit") -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else otherwise
