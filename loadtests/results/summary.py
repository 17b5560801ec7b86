"""summary.json: all that a run found, as docs/summary.schema.json describes it."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.analysis import capacity, noise, uncertainty
from loadtests.analysis.cost import Cost, calibrated, cost, flip, match, measured_match
from loadtests.analysis.gaps import Gap, gap, limited_by, notices
from loadtests.analysis.statistics import LevelFigures, Measured, steps
from loadtests.analysis.uncertainty import Interval
from loadtests.analysis.validity import Limits, checks
from loadtests.analysis.verdict import Check, Verdict, verdict
from loadtests.experiments.judging import highest
from loadtests.model.experiment import Arm, Experiment, Point
from loadtests.model.prediction import Deployment, Prediction, predicted_of
from loadtests.model.server_metrics import Inside
from loadtests.model.service import CLUSTERS
from loadtests.model.settings import Settings
from loadtests.model.summary import ArmSummary, ComparisonSummary, Manifest, StepSummary, Summary
from loadtests.model.target import Target
from loadtests.model.units import duration
from loadtests.results import files

SCHEMA_VERSION = 8
FAR = 1e-3  # seconds of a round trip, from which on the report says it
AHEAD = 1.2  # times the goodput, from which on it is worth saying when that would end


@dataclass(frozen=True)
class Run:
    """A run as it stands: complete, or stopped on the way (`stopped_because`)."""

    experiment: Experiment
    settings: Settings
    targets: Mapping[str, Target]
    planned: int
    measured: Sequence[Measured]
    manifest: Manifest
    stopped_because: str | None = None
    objections: Sequence[Check] = ()  # known before anything is looked at

    @property
    def incomplete(self) -> str | None:
        """Return how much is there and why not all of it; None if the run is complete."""
        if len(self.measured) == self.planned:
            return None
        return f"{len(self.measured)} of {self.planned} measurements: {self.stopped_because or 'the rest is missing.'}"


def summarize(run: Run) -> Summary:
    """Return the content of summary.json."""
    known_floor = run.manifest.get("noise_floor")
    floor = noise.at_least(known_floor)
    arms = [arm_figures(run, arm, floor) for arm in run.experiment.arms]
    reached = points(arms, floor)
    found = [*run.objections, *checks(run.measured, limits(run))]
    missed = [gap.sentence for arm in arms for gap in arm.gaps if gap is not None and gap.missed]
    ending = verdict(run.experiment, reached, found, incomplete=run.incomplete, missed=missed)
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": run.experiment.name,
        "question": run.experiment.question,
        "advice": run.experiment.advice,
        "plots": list(run.experiment.plots),
        "runtime": run.manifest["runtime"],
        "complete": not run.incomplete,
        "arms": [arm_of(arm) for arm in arms],
        "comparison": comparison(highest(reached)),
        "verdict": {
            "status": ending.status,
            "headline": ending.headline,
            "sentence": ending.sentence,
            "key": list(ending.key),
        },
        "noise_floor": known_floor if ending.noise_floor is None else ending.noise_floor,
        "recommendations": matches(run, arms, doubtful(run, found)),
        "findings": findings(arms),
        "checks": [asdict(check) for check in found],
        "manifest": dict(run.manifest),
    }


@dataclass(frozen=True)
class ArmFigures:
    """An arm with its steps, what was predicted for each, and what it costs."""

    arm: Arm
    target: Target
    deployment: Deployment
    steps: Sequence[LevelFigures]
    predicted: Sequence[Prediction | None]
    gaps: Sequence[Gap | None]
    cost: Cost


def arm_figures(run: Run, arm: Arm, floor: float) -> ArmFigures:
    target = run.targets[arm.target]
    found = steps(run.measured, arm)
    limited = deployment(target, run.manifest)
    predicted = [prediction(run, arm, limited, step, calibrated(found, step)) for step in found]
    apart = [
        None if arm.fails or expected is None else gap(arm.words, step, expected, limited, floor)
        for step, expected in zip(found, predicted, strict=True)
    ]
    return ArmFigures(arm, target, limited, found, predicted, apart, cost(found))


def prediction(
    run: Run, arm: Arm, limited: Deployment, step: LevelFigures, known: LevelFigures | None
) -> Prediction | None:
    """Return the prediction, with the CPU per page of the step `known`; None if the formula does not know."""
    if arm.unknown or arm.strategy in run.targets[arm.target].unpredicted:
        return None
    same = [one for one in run.measured if (one.measurement.arm, one.measurement.level) == (arm, step.level)]
    came = (step.pages + sum(step.failures.values())) / step.seconds if step.seconds else 0.0
    return capacity.predict_arm(
        arm,
        step.settings,
        limited,
        replace(step.level, rate=came) if step.level.is_open and came else step.level,  # chance decides how many arrive
        cpu_per_page=(known and known.cpu_per_page) or 0.0,
        cpu_beside=(known and known.cpu_beside) or 0.0,
        after=median(one.measurement.warm_up + one.seconds / 2 for one in same),  # when the median arrival came
    )


def deployment(target: Target, manifest: Manifest) -> Deployment:
    """Return what the target and the manifest say of it. A Python process computes on one core at a time."""
    services = manifest.get("services", {})
    service, api = services.get(target.name, {}), services.get("api", {})
    shared = manifest.get("runtime") not in CLUSTERS  # the machine, by target, api and load generator
    machine = (manifest.get("generator", {}).get("cores") if shared else None) or math.inf
    return Deployment(
        target.slots,
        capacity.cores(target.workers, service.get("cpus"), machine),
        target.workers,
        target.pools,
        machine=machine,
        round_trip=target.round_trip,
        api_round_trip=target.api_round_trip,
        **capacity.waits(service.get("environment", {}), api.get("environment", {})),
    )


def limits(run: Run) -> Limits:
    """Return what compose.yaml allows the services, in bytes and cores; None if nothing limits them."""
    services = run.manifest.get("services", {})
    return Limits(
        memory={name: of.get("memory_bytes") for name, of in services.items() if isinstance(of, Mapping)},
        generator_cpus=services.get("locust", {}).get("cpus"),
        contained=run.manifest["runtime"] != "process",
        quick=run.manifest.get("knobs", {}).get("quick", False),
    )


def findings(arms: Sequence[ArmFigures]) -> list[str]:
    """Say where the measured goodput parts from the predicted one by more than the noise, and what else was seen."""
    trips = {arm.target.name: network(arm.target) for arm in arms}
    found = [(arm.arm.words, *one) for arm in arms for one in zip(arm.steps, arm.predicted, arm.gaps, strict=True)]
    apart = (gap.sentence for *_, gap in found if gap)
    return [*filter(None, trips.values()), *apart, *(notice for one in found for notice in notices(*one))]


def network(target: Target) -> str | None:
    """Return how far away the target and the api are; None where that makes no difference."""
    if max(target.round_trip, target.api_round_trip) < FAR:
        return None
    api = f" and {duration(target.api_round_trip)} to the api" if target.api_round_trip else ""
    return (
        f"{target.name}: the network's round trip takes {duration(target.round_trip)} to the target{api}, "
        "measured by the load generator before the load; predictions include it."
    )


def doubtful(run: Run, found: Iterable[Check]) -> set[Arm]:
    """Return the arms that nothing is to be advised from: all of an incomplete run, and those with a failed check."""
    if run.incomplete or run.objections:
        return set(run.experiment.arms)
    failed = {check.measurement for check in found if not check.passed}
    return {one.measurement.arm for one in run.measured if one.measurement.name in failed}


def matches(run: Run, arms: Sequence[ArmFigures], without: Collection[Arm]) -> list[str]:
    """Return what the arm with slots would need to serve what the one without them serves.

    Measured, where the run has an arm with slots enough; predicted where not.
    """
    arms = [arm for arm in arms if arm.steps and arm.arm not in without]
    of_its_kind = [arm for arm in arms if arm.arm.strategy == "threadpool" and not arm.arm.label]
    free = [arm for arm in arms if arm.arm == Arm("asgi", "gather")]
    slotted = [arm for arm in of_its_kind if arm.arm.target == "wsgi"]
    pairs = [(one, other) for one in slotted for other in free]
    found = [sentence for one, other in pairs if (sentence := match_of(one, other, of_its_kind))]
    return [*found, *(sentence for one, other in pairs if (sentence := flip_of(one, other)))]


def match_of(arm: ArmFigures, free: ArmFigures, others: Sequence[ArmFigures]) -> str | None:
    target = free.steps[-1]
    same = {step.level: step for step in arm.steps}.get(target.level)
    if same is None:
        return None
    waited = capacity.page_time(same.settings, arm.arm.strategy) + (same.cpu_per_page or 0.0)
    predicted = match(same, arm.cost, arm.deployment, target, waited)
    if predicted is None:
        return None
    for other in sorted(others, key=lambda one: one.deployment.slots or 0):
        step = {step.level: step for step in other.steps}.get(target.level)
        if step is not None and (other.deployment.slots or 0) >= target.goodput * waited:
            return measured_match(step, other.deployment.slots or 0, target)
    return predicted


def flip_of(arm: ArmFigures, free: ArmFigures) -> str | None:
    """Return when the slots of an arm would decide no longer; None where they do not decide now."""
    last, other = arm.steps[-1], free.steps[-1]
    slots, cpu = arm.deployment.slots, last.cpu_per_page
    if slots is None or cpu is None or last.level != other.level or other.goodput <= AHEAD * last.goodput:
        return None
    return flip(arm.arm.server, slots, arm.deployment.cores, cpu, capacity.page_time(last.settings, arm.arm.strategy))


def verdict_of(summary: Summary) -> Verdict:
    return Verdict(**summary["verdict"])


def arm_of(arm: ArmFigures) -> ArmSummary:
    return {
        "target": arm.arm.target,
        "strategy": arm.arm.strategy,
        "label": arm.arm.label,
        "server": arm.target.identity["server"],
        "interface": arm.target.interface,
        "slots": arm.target.slots,
        "cores": arm.deployment.cores if math.isfinite(arm.deployment.cores) else None,
        "cost": asdict(arm.cost),
        "steps": [step_of(*figures) for figures in zip(arm.steps, arm.predicted, arm.gaps, strict=True)],
    }


def step_of(step: LevelFigures, predicted: Prediction | None, apart: Gap | None) -> StepSummary:
    return {
        "name": step.level.name,
        "users": step.level.users,
        "rate": step.level.rate,
        "think": step.level.think,
        "arrivals": step.level.arrivals if step.level.is_open else None,
        "knobs": dict(step.level.knobs),
        "goodput": step.goodput,
        "goodput_repeats": list(step.goodputs),
        "goodput_interval": ends(step.intervals["goodput"]),
        "response_time": step.response_time,
        "response_time_repeats": dict(step.times),
        "response_time_interval": {name: ends(step.intervals[name]) for name in ("p50", "p95")},
        "first_byte": step.first_byte,
        "failure_time": step.failure_time,
        "pages": step.pages,
        "failures": sum(step.failures.values()),
        "failure_reasons": dict(step.failures.most_common(10)),
        "seconds": step.seconds,
        "cpu_per_page": step.cpu_per_page,
        "cpu_beside": step.cpu_beside,
        "machine": None if step.machine is None else {**asdict(step.machine), "taken": step.machine.taken},
        "inside": inside_of(step.inside),
        "predicted": predicted_of(predicted),
        "limited_by": limited_by(apart, predicted),
        "by_page": [asdict(page) for page in step.by_page],
    }


def inside_of(inside: Inside) -> dict[str, Any]:
    """Return what was seen inside; a worker of the api has calls where one of a target has pages."""
    of_api = [asdict(worker) for worker in inside.api_workers]
    calls = [{name.replace("pages", "calls"): value for name, value in one.items()} for one in of_api]
    return {**asdict(inside), "workers": [asdict(one) for one in inside.workers], "api_workers": calls}


def ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def points(arms: Sequence[ArmFigures], floor: float) -> list[Point]:
    """Return every arm at every step that all of them have reached."""
    reached = set.intersection(*({step.level for step in arm.steps} for arm in arms))
    return [
        point(arm, step, predicted, floor)
        for arm in arms
        for step, predicted in zip(arm.steps, arm.predicted, strict=True)
        if step.level in reached
    ]


def point(arm: ArmFigures, step: LevelFigures, predicted: Prediction | None, noise_floor: float) -> Point:
    same = ("arm", "level", "goodput", "pages", "seconds", "cpu_per_page", "inside")
    return Point(
        **{name: getattr(step, name) for name in same},
        slots=arm.deployment.slots,
        workers=arm.deployment.workers,
        cores=arm.deployment.cores,
        goodputs=tuple(step.goodputs),
        interval=step.intervals["goodput"],
        drawn=step.drawn.goodput if step.drawn else uncertainty.NOTHING,
        predicted=predicted,
        p50=step.response_time["p50"] or math.nan,
        p95=step.response_time["p95"] or math.nan,
        failures=sum(step.failures.values()),
        first_byte=step.first_byte["p50"] or math.nan,
        failed_after=step.failure_time["p50"] or math.nan,
        noise_floor=noise_floor,
    )


def comparison(points: Sequence[Point]) -> ComparisonSummary:
    """Return how many times the first arm's goodput the last arm's is, at the highest step."""
    if not points or not points[0].goodput:
        return {"step": None, "of": None, "to": None, "ratio": None, "ratio_interval": None}
    first, last = points[0], points[-1]
    return {
        "step": first.level.name,
        "of": last.arm.target,
        "to": first.arm.target,
        "ratio": last.goodput / first.goodput,
        "ratio_interval": ends(uncertainty.of_ratio(last.goodputs, first.goodputs, (last.drawn, first.drawn))),
    }


def write(summary: Summary, folder: Path) -> None:
    """Write summary.json. Raises LabError."""
    files.write(folder / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
