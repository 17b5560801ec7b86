"""What earlier runs measured that a prediction can use: the CPU of such pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests import experiments, results
from loadtests.analysis.comparison import number
from loadtests.experiments import Arm, Experiment
from loadtests.knobs import Settings


@dataclass(frozen=True, slots=True)
class MeasuredCpu:
    """CPU seconds per page of an arm and, `beside` it, of the api and the load generator, as a run measured them.

    `fan_out` and `work` are those of the pages that cost so much.
    """

    arm: tuple[str, str]  # target and strategy
    fan_out: int
    work: float
    cpu_per_page: float
    beside: float = 0.0


def cpu_of_earlier_runs(measured: Iterable[MeasuredCpu], arm: Arm, turned: Settings) -> MeasuredCpu | None:
    """What these pages cost, from such pages with the nearest fan-out; of equals the first. None where there are none.

    Scaled to this fan-out as if a page cost nothing but its calls and its work, which is most of the truth where it was
    near.
    """
    such = [one for one in measured if one.arm == (arm.target, arm.strategy) and one.work == turned.work]
    if not such:
        return None
    nearest = min(such, key=lambda one: abs(math.log(one.fan_out / turned.fan_out)))
    share = turned.fan_out / nearest.fan_out
    cpu = turned.work + max(0.0, nearest.cpu_per_page - turned.work) * share
    return replace(nearest, fan_out=turned.fan_out, cpu_per_page=cpu, beside=nearest.beside * share)


def measured_cpu() -> list[MeasuredCpu]:
    """Of all runs, the latest first."""
    catalogue = experiments.catalogue()
    return [one for path in results.summaries() for one in measured_cpu_of(path, catalogue)]


def measured_cpu_of(path: Path, catalogue: Mapping[str, Experiment]) -> list[MeasuredCpu]:
    """Of a run; none where it is damaged, and none where it is invalid or a check failed."""
    summary = results.summary(path)
    try:
        if not summary["complete"] or summary["verdict"]["status"] == "invalid":
            return []
        if not all(check["passed"] for check in summary["checks"]):
            return []
        asked = catalogue.get(summary["experiment"], Experiment("unknown"))
        knobs_of_arms = {(arm.target, arm.strategy, arm.label): arm.knobs for arm in asked.arms}
        found = []
        for arm in summary["arms"]:
            cpu = arm["cpu_per_page_calibrated"]
            if cpu is None:
                continue
            step = next(step for step in arm["steps"] if step["cpu_per_page"] == cpu)
            turned = summary["manifest"]["knobs"] | knobs_of_arms.get(
                (arm["target"], arm["strategy"], arm["label"]), {}
            )
            turned |= step["knobs"]
            key = (arm["target"], arm["strategy"])
            fan_out, work = (number(turned[name], name) for name in ("fan_out", "work"))
            beside = number(arm.get("cpu_beside_calibrated") or 0.0, "cpu_beside_calibrated")
            found.append(MeasuredCpu(key, max(1, int(fan_out)), work, number(cpu, "cpu_per_page"), beside))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return []
    return found
