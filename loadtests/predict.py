"""What theory predicts for the deployment that compose.yaml describes: a table, without any load."""

from __future__ import annotations

import json
import math
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
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
    calibrated = cpu_of_earlier_runs(experiment.arms, settings)
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
        return capacity.predict(turned, arm.strategy, limits(services, arm), step, holds=arm.holds)

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
            turned = settings.turned({**arm.knobs, **step.knobs})
            predicted = capacity.predict(turned, arm.strategy, limits(services, arm), step, cpu, holds=arm.holds)
            yield Row(arm, step, predicted)


def limits(services: Mapping[str, Service], arm: Arm) -> Deployment:
    """Raises BadInput."""
    return deployment(services[arm.target]).with_pool(arm.strategy, arm.pool)


def deployment(service: Service) -> Deployment:
    """What compose.yaml gives a target. Raises BadInput."""
    try:
        workers, threads = (int(service.environment[name]) for name in ("WORKERS", "THREADS"))
        return Deployment(
            slots=workers * threads or None,
            cores=min(workers, float(service.cpus or math.inf)),
            workers=workers,
            pools={name: workers * int(service.environment[size]) for name, size in pools(service).items()},
        )
    except (KeyError, ValueError) as error:
        raise BadInput(f"compose.yaml, or a variable it reads, does not say what {service.name} is: {error}") from error


def pools(service: Service) -> dict[str, str]:
    """The variable with the size of a worker's pool by strategy, as the target will say on /healthz."""
    sizes = {"threadpool": "THREADPOOL"}
    if service.environment["THREADS"] == "0":
        sizes["gather"] = "MAX_CONNECTIONS"
    if service.environment.get("DATABASE_URL", "").startswith("postgres"):
        sizes |= dict.fromkeys(("orm_sync", "orm_to_async", "orm_async"), "DATABASE_POOL")
    return sizes


@dataclass(frozen=True, slots=True)
class Calibration:
    """CPU seconds per page by target and strategy, as a run measured them."""

    fan_out: int
    work: float
    cpu_per_page: Mapping[tuple[str, str], float]


def cpu_of_earlier_runs(arms: Iterable[Arm], settings: Settings) -> dict[tuple[str, str], float]:
    """CPU seconds per page by target and strategy, each from the run with the nearest fan-out; of equals the latest.

    Scaled to this fan-out as if a page cost nothing but its calls, which is most of the truth where it was near.
    """
    runs = [run for path in results.summaries() if (run := calibration(path)) and run.work == settings.work]
    found: dict[tuple[str, str], float] = {}
    for run in sorted(runs, key=lambda run: abs(math.log(run.fan_out / settings.fan_out))):
        scaled = {arm: cpu * settings.fan_out / run.fan_out for arm, cpu in run.cpu_per_page.items()}
        found = {**scaled, **found}
    return {arm: found[arm] for arm in dict.fromkeys((arm.target, arm.strategy) for arm in arms) if arm in found}


def calibration(path: Path) -> Calibration | None:
    """None where the run is damaged."""
    try:
        summary: Any = json.loads(path.read_text())
        turned = summary["manifest"]["knobs"]
        measured = {(arm["target"], arm["strategy"]): arm["cpu_per_page_calibrated"] for arm in summary["arms"]}
        cpu_per_page = {arm: cpu for arm, cpu in measured.items() if isinstance(cpu, int | float)}
        return Calibration(max(1, int(turned["fan_out"])), float(turned["work"]), cpu_per_page)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def introduction(settings: Settings, calibrated: Mapping[tuple[str, str], float]) -> str:
    cpu = ", ".join(f"{target} {strategy} {value * 1000:.1f} ms" for (target, strategy), value in calibrated.items())
    of = (
        f"CPU per page from earlier runs, scaled to this fan-out ({cpu})"
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
            row.arm.label or row.arm.strategy,
            row.step.name,
            figure(predicted.goodput, 1),
            figure(predicted.response_time, 3, otherwise="no end"),
            Text(predicted.bottleneck),
            figure(predicted.calls_in_flight, 0),
        )
    return grid


def figure(value: float, digits: int, otherwise: str = "no limit") -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else otherwise
