"""What theory predicts for the deployment that compose.yaml describes: a table, without any load."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from loadtests.analysis import capacity
from loadtests.errors import BadInput, ExitCode
from loadtests.model.experiment import Arm, Experiment, arm_words
from loadtests.model.load_level import LoadLevel
from loadtests.model.prediction import Deployment, Prediction
from loadtests.model.run_options import RunOptions
from loadtests.model.service import GENERATOR, Service
from loadtests.model.settings import Settings
from loadtests.model.units import digits, duration
from loadtests.report.terminal import Column, Table, console_for_people
from loadtests.results.history import MeasuredCpu, cpu_of_earlier_runs, measured_cpu

COLUMNS = (  # those with a number may be left out in a narrow terminal, the lowest first
    Column("target"),
    Column("strategy"),
    Column("load", right=True),
    Column("pages/s", right=True),
    Column("response", right=True),
    Column("limited by", right=True, optional=3),
    Column("failed", right=True, optional=2),
    Column("calls in flight", right=True, optional=1),
)


@dataclass(frozen=True, slots=True)
class Row:
    """`cpu`: what earlier runs measured of such pages, None where none did."""

    arm: Arm
    level: LoadLevel
    fan_out: int
    cpu: MeasuredCpu | None
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Lab:
    """The services as compose.yaml describes them, and the `machine`'s cores, which they share.

    `limited`: whether their CPU limits hold, as they do for containers only.
    """

    services: Mapping[str, Service]
    machine: float
    limited: bool

    @classmethod
    def on_this_machine(cls, services: Mapping[str, Service], *, limited: bool) -> Lab:
        # Containers are not held to the cores that this process may use, but to those of the engine's machine.
        usable = None if limited or not hasattr(os, "sched_getaffinity") else len(os.sched_getaffinity(0))
        return cls(services, usable or os.cpu_count() or math.inf, limited)


def main(asked: Experiment, options: RunOptions, lab: Lab) -> ExitCode:
    """Print the table. Raises BadInput."""
    experiment = options.applied_to(asked)
    settings = options.settings(experiment, lab.services[GENERATOR].environment)
    found = list(rows(experiment, settings, lab, measured_cpu()))
    console = console_for_people()
    console.print(introduction(settings, found, lab))
    if found:
        console.print()
        console.print(Table(COLUMNS, [cells(row) for row in found]))
    for sentence in (*failures(found), *unknown(experiment)):
        console.print()
        console.print(sentence)
    return ExitCode.CONFIRMED


def rows(experiment: Experiment, settings: Settings, lab: Lab, measured: Sequence[MeasuredCpu]) -> Iterator[Row]:
    for number, arm in enumerate(experiment.arms):
        twins = (other for other in experiment.arms[:number] if replace(other, label=arm.label) == arm)
        if arm.unknown or any(twins):
            continue
        for step in experiment.levels:
            turned = settings.turned({**arm.knobs, **step.knobs})
            target = deployment(lab.services[arm.target], lab)
            predicted = partial(capacity.predict_arm, arm, turned, target, step)
            without = predicted().ended  # which tells how busy the target will be
            cpu = cpu_of_earlier_runs(measured, arm, turned, without) if 0 < without < math.inf else None
            known = predicted(cpu_per_page=cpu.cpu_per_page, cpu_beside=cpu.beside) if cpu else predicted()
            yield Row(arm, step, turned.fan_out, cpu, known)


def deployment(service: Service, lab: Lab) -> Deployment:
    """Return what compose.yaml gives a target. Raises BadInput."""
    try:
        interface, workers = service.environment["INTERFACE"], int(service.environment["WORKERS"])
        limit = float(service.cpus) if lab.limited and service.cpus else None
        return Deployment(
            slots=workers * int(service.environment["THREADS"]) if interface == "wsgi" else None,
            cores=capacity.cores(workers, limit, lab.machine),
            workers=workers,
            pools={name: workers * int(service.environment[size]) for name, size in pools(service).items()},
            machine=lab.machine,
            **capacity.waits(service.environment, lab.services["api"].environment if "api" in lab.services else {}),
        )
    except (KeyError, ValueError) as error:
        raise BadInput(f"compose.yaml, or a variable it reads, does not say what {service.name} is: {error}") from error


def pools(service: Service) -> dict[str, str]:
    """Return the variable with the size of a worker's pool by strategy, as the target will say on /healthz."""
    sizes = {"threadpool": "THREADPOOL"}
    if service.environment["INTERFACE"] == "asgi":
        sizes["gather"] = "MAX_CONNECTIONS"
    if service.environment.get("DATABASE_URL", "").startswith("postgres"):
        sizes |= dict.fromkeys(capacity.OF_QUERIES, "DATABASE_POOL")
    return {strategy: variable for strategy, variable in sizes.items() if variable in service.environment}


def introduction(settings: Settings, found: Sequence[Row], lab: Lab) -> str:
    costs: dict[str, list[str]] = {}  # by arm, each only once
    for row in found:
        said = costs.setdefault(arm_words(row.arm.target, row.arm.strategy), [])
        other = f" at fan-out {row.fan_out}" if row.fan_out != settings.fan_out else ""
        if row.cpu is not None and (cost := f"{duration(row.cpu.cpu_per_page)}{other}") not in said:
            said.append(cost)
    cpu = ", ".join(f"{arm} {' and '.join(said)}" for arm, said in costs.items() if said)
    assumed = " and ".join(dict.fromkeys(duration(row.arm.cpu) for row in found if row.arm.cpu))
    left_out = f"CPU per page taken to be {assumed}" if assumed else "CPU left out"
    left_out += f"{', but for WORK' if settings.work else ''}: no valid run has measured it yet"
    where = "containers, each within its CPU limit" if lab.limited else "local processes, which nothing limits"
    return (
        f"Predicted, not measured, for {settings.words}, in {where}, on {lab.machine:g} cores that the "
        f"api and the load generator share; {f'CPU per page from earlier runs ({cpu})' if cpu else left_out}."
    )


def cells(row: Row) -> list[str]:
    predicted = row.prediction
    at_most = "≤ " if predicted.failing is None or (row.cpu and row.cpu.at_most) else ""
    response = "no end" if math.isinf(predicted.response_time) else duration(predicted.response_time)
    return [
        row.arm.server,
        row.arm.label or row.arm.strategy,
        row.level.name,
        f"{at_most}{figure(predicted.goodput)}",
        response,
        predicted.bottleneck,
        "some" if predicted.failing is None else f"{digits(100 * predicted.failing)} %" if predicted.failing else "0",
        figure(predicted.calls_in_flight),
    ]


def figure(value: float) -> str:
    return digits(value) if math.isfinite(value) else "no limit"


def failures(found: Sequence[Row]) -> Iterator[str]:
    """Say which pages fail and why: a sentence for each reason."""
    failing = [row for row in found if row.prediction.failing != 0]
    for reason in dict.fromkeys(row.prediction.reason for row in failing):
        alike = [row for row in failing if row.prediction.reason == reason]
        arms = ", ".join(dict.fromkeys(row.arm.words for row in alike))
        bound = " How many is not predicted." if any(row.prediction.failing is None for row in alike) else ""
        yield f"Pages fail ({arms}): {reason}.{bound}"


def unknown(experiment: Experiment) -> Iterator[str]:
    """Say which arms the formula cannot predict, and why."""
    for reason in dict.fromkeys(arm.unknown for arm in experiment.arms if arm.unknown):
        arms = ", ".join(arm.words for arm in experiment.arms if arm.unknown == reason)
        yield f"Not predicted: {arms}: {reason}. Measure it: make loadtest EXPERIMENT={experiment.name}."
