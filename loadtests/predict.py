"""What theory predicts for the deployment that compose.yaml describes: a table, without any load."""

from __future__ import annotations

import math
import os
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests import experiments
from loadtests.analysis import capacity
from loadtests.analysis.capacity import Deployment, Prediction
from loadtests.earlier import MeasuredCpu, cpu_of_earlier_runs, measured_cpu
from loadtests.errors import BadInput, ExitCode
from loadtests.experiments import Arm, Experiment
from loadtests.knobs import Settings
from loadtests.runtime import GENERATOR
from loadtests.runtime.processes import Service, read_services
from loadtests.step import Step
from loadtests.variables import topology


@dataclass(frozen=True, slots=True)
class Row:
    """`cpu`: CPU seconds per page that earlier runs measured, None where none did."""

    arm: Arm
    step: Step
    fan_out: int
    cpu: float | None
    prediction: Prediction


def main(options: Namespace) -> ExitCode:
    """Print the table. Raises BadInput."""
    services = read_services(topology(), os.environ)
    if len(options.experiments) != 1:
        raise BadInput(f"one EXPERIMENT is predicted at a time; there are {len(options.experiments)}")
    experiment = experiments.find(options.experiments[0])
    if experiment.probe is not None:
        raise BadInput(
            f"there is nothing to predict for {experiment.name}: it asks {experiment.probe.target} and loads no page. "
            f"Measure it (make loadtest EXPERIMENT={experiment.name}), or predict another EXPERIMENT"
        )
    if options.quick:
        experiment = experiment.quickened()
    settings = experiments.settings(experiment, options, services[GENERATOR].environment)
    steps = (*options.users, *options.rate) or experiment.steps
    found = list(rows(experiment, steps, settings, services, measured_cpu()))
    console = Console(highlight=False)
    console.print(introduction(settings, found))
    console.print()
    console.print(table(found))
    return ExitCode.CONFIRMED


def rows(
    experiment: Experiment,
    steps: tuple[Step, ...],
    settings: Settings,
    services: Mapping[str, Service],
    measured: Sequence[MeasuredCpu],
) -> Iterator[Row]:
    for number, arm in enumerate(experiment.arms):
        twins = (other for other in experiment.arms[:number] if replace(other, label=arm.label) == arm)
        if not arm.predictable or any(twins):
            continue
        for step in steps:
            turned = settings.turned({**arm.knobs, **step.knobs})
            cpu = cpu_of_earlier_runs(measured, arm, turned)
            predicted = capacity.predict(turned, arm.strategy, limits(services, arm), step, cpu or 0.0, holds=arm.holds)
            yield Row(arm, step, turned.fan_out, cpu, predicted)


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
        sizes |= dict.fromkeys(capacity.OF_QUERIES, "DATABASE_POOL")
    return sizes


def introduction(settings: Settings, found: Sequence[Row]) -> str:
    costs: dict[str, list[str]] = {}  # by arm, each only once
    for row in found:
        said = costs.setdefault(f"{row.arm.target} {row.arm.strategy}", [])
        other = f" at fan-out {row.fan_out}" if row.fan_out != settings.fan_out else ""
        if row.cpu is not None and (cost := f"{row.cpu * 1000:.1f} ms{other}") not in said:
            said.append(cost)
    cpu = ", ".join(f"{arm} {' and '.join(said)}" for arm, said in costs.items() if said)
    of = (
        f"CPU per page from earlier runs, scaled to its fan-out ({cpu})"
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
