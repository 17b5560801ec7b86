"""summary.json: all that a run found, as docs/summary.schema.json describes it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.analysis import capacity
from loadtests.analysis.statistics import Measured, StepFigures, steps
from loadtests.analysis.validity import checks
from loadtests.analysis.verdict import Verdict, verdict
from loadtests.experiments import Arm, Experiment, Point
from loadtests.knobs import Settings
from loadtests.targets import Target

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Run:
    """A run as it stands: complete, or stopped on the way (`stopped_because`)."""

    experiment: Experiment
    settings: Settings
    targets: Mapping[str, Target]
    planned: int
    measured: Sequence[Measured]
    manifest: Mapping[str, Any]
    stopped_because: str | None = None

    @property
    def incomplete(self) -> str | None:
        """How much is there and why not all of it; None when the run is complete."""
        if len(self.measured) == self.planned:
            return None
        return f"{len(self.measured)} of {self.planned} measurements: {self.stopped_because or 'the rest is missing.'}"


def summarize(run: Run) -> dict[str, Any]:
    """The content of summary.json."""
    by_arm = {arm: steps(run.measured, arm) for arm in run.experiment.arms}
    highest = top_points(run, by_arm)
    found = checks(run.measured, run.settings)
    ending = verdict(run.experiment, highest, found, incomplete=run.incomplete)
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": run.experiment.name,
        "question": run.experiment.question,
        "runtime": run.manifest["runtime"],
        "complete": not run.incomplete,
        "arms": [arm_of(run, arm, by_arm[arm]) for arm in run.experiment.arms],
        "comparison": comparison(highest),
        "verdict": {"status": ending.status, "sentence": ending.sentence},
        "checks": [
            {
                "name": check.name,
                "measurement": check.measurement,
                "passed": check.passed,
                "value": check.value,
                "limit": check.limit,
                "remedy": check.remedy,
            }
            for check in found
        ],
        "manifest": dict(run.manifest),
    }


def verdict_of(summary: Mapping[str, Any]) -> Verdict:
    return Verdict(**summary["verdict"])


def arm_of(run: Run, arm: Arm, figures: Sequence[StepFigures]) -> dict[str, Any]:
    target = run.targets[arm.target]
    return {
        "target": arm.target,
        "strategy": arm.strategy,
        "server": target.identity["server"],
        "slots": target.slots,
        "steps": [step_of(run, target, step) for step in figures],
    }


def step_of(run: Run, target: Target, step: StepFigures) -> dict[str, Any]:
    predicted = capacity.predict(run.settings, step.arm.strategy, target.slots, step.users)
    return {
        "users": step.users,
        "goodput": step.goodput,
        "goodput_repeats": list(step.goodputs),
        "response_time": step.response_time,
        "pages": step.pages,
        "failures": sum(step.failures.values()),
        "failure_reasons": dict(step.failures.most_common(10)),
        "seconds": step.seconds,
        "calls_in_flight": step.calls_in_flight,
        "predicted": {
            "goodput": predicted.goodput if math.isfinite(predicted.goodput) else None,
            "response_time": predicted.response_time,
            "bottleneck": predicted.bottleneck,
        },
    }


def top_points(run: Run, by_arm: Mapping[Arm, Sequence[StepFigures]]) -> list[Point]:
    """Each arm at the highest step that every arm has reached; empty while there is none."""
    reached = set.intersection(*({step.users for step in figures} for figures in by_arm.values()))
    if not reached:
        return []
    points = []
    for arm, figures in by_arm.items():
        step = next(step for step in figures if step.users == max(reached))
        slots = run.targets[arm.target].slots
        predicted = capacity.predict(run.settings, arm.strategy, slots, step.users)
        p95 = step.response_time["p95"]
        points.append(
            Point(
                arm,
                step.users,
                slots,
                step.goodput,
                predicted.goodput,
                float("nan") if p95 is None else p95,
            )
        )
    return points


def comparison(points: Sequence[Point]) -> dict[str, Any]:
    """How many times the first arm's goodput the last arm's is, at the highest step."""
    if not points or not points[0].goodput:
        return {"users": None, "of": None, "to": None, "ratio": None}
    first, last = points[0], points[-1]
    return {
        "users": first.users,
        "of": last.arm.target,
        "to": first.arm.target,
        "ratio": last.goodput / first.goodput,
    }


def write(summary: Mapping[str, Any], folder: Path) -> None:
    """Complete or not at all: a reader never finds half a file."""
    unfinished = folder / "summary.json.part"
    unfinished.write_text(json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    unfinished.replace(folder / "summary.json")
