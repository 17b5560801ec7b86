"""What earlier runs measured: the CPU of pages, for a prediction, and the noise floor of this machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loadtests import experiments
from loadtests.analysis.comparison import number
from loadtests.model.experiment import Arm, Experiment
from loadtests.model.measurement import ENOUGH_PAGES
from loadtests.model.settings import Settings
from loadtests.results import folders

NOISE = "noise"  # the experiment that measures the floor


@dataclass(frozen=True, slots=True)
class MeasuredCpu:
    """CPU seconds per page of an arm and, `beside` it, of the api and the load generator, as a step of a run took them.

    `run`: its folder. `fan_out` and `work` are those of its pages, of which `goodput` (pages/s) were served. `at_most`:
    nothing is known of pages with another fan-out, so that what these cost is a lower bound, and what is served an
    upper one.
    """

    run: str
    arm: tuple[str, str]  # target and strategy
    fan_out: int
    work: float
    goodput: float
    cpu_per_page: float
    beside: float = 0.0
    at_most: bool = False


def cpu_of_earlier_runs(
    measured: Iterable[MeasuredCpu], arm: Arm, turned: Settings, goodput: float
) -> MeasuredCpu | None:
    """Return what these pages cost where so many pages/s are served. None where there are no such pages.

    A page costs something by itself and something for each call: a straight line through the fan-outs that were
    measured, of each the first run's step with the nearest goodput, since a busy server takes less CPU a page. Where
    one fan-out was measured, its pages cost no less for more calls, and for fewer no less than in proportion.
    """
    alike = [one for one in measured if one.arm == (arm.target, arm.strategy) and one.work == turned.work]
    nearest: dict[int, MeasuredCpu] = {}
    for fan_out in dict.fromkeys(one.fan_out for one in alike):
        same = [one for one in alike if one.fan_out == fan_out]
        latest = [one for one in same if one.run == same[0].run]
        nearest[fan_out] = min(latest, key=lambda one: abs(math.log(one.goodput / goodput)))
    if not nearest:
        return None
    if turned.fan_out in nearest:
        return nearest[turned.fan_out]
    if len(nearest) == 1:
        [only] = nearest.values()
        share = min(1.0, turned.fan_out / only.fan_out)
        cpu = turned.work + max(0.0, only.cpu_per_page - turned.work) * share
        return replace(only, fan_out=turned.fan_out, cpu_per_page=cpu, beside=only.beside * share, at_most=True)
    fan_outs = list(nearest)
    cpu = on_the_line(fan_outs, [one.cpu_per_page for one in nearest.values()], turned.fan_out)
    beside = on_the_line(fan_outs, [one.beside for one in nearest.values()], turned.fan_out)
    first = next(iter(nearest.values()))
    return replace(first, fan_out=turned.fan_out, cpu_per_page=max(cpu, turned.work), beside=beside)


def on_the_line(fan_outs: Sequence[int], seconds: Sequence[float], fan_out: int) -> float:
    """Return a + b·fan_out by least squares, neither of them negative: no call gives CPU back, and no page."""
    from scipy.optimize import nnls  # noqa: PLC0415  # the host reads noise floors here, without any package

    (page, call), _ = nnls([[1, number] for number in fan_outs], seconds)
    return float(page + call * fan_out)


def measured_cpu() -> list[MeasuredCpu]:
    """Return what all runs measured, the latest first."""
    catalogue = experiments.catalogue()
    return [one for path in folders.summaries() for one in measured_cpu_of(path, catalogue)]


def measured_cpu_of(path: Path, catalogue: Mapping[str, Experiment]) -> list[MeasuredCpu]:
    """Return what a run measured; nothing if it is damaged or invalid, or if a check failed."""
    summary = folders.summary(path)
    try:
        valid = summary["complete"] and summary["verdict"]["status"] != "invalid"
        if not valid or not all(check["passed"] for check in summary["checks"]):
            return []
        asked = catalogue.get(summary["experiment"], Experiment())
        knobs_of_arms = {(arm.target, arm.strategy, arm.label): arm.knobs for arm in asked.arms}
        found = []
        for arm in summary["arms"]:
            key = (arm["target"], arm["strategy"])
            own = knobs_of_arms.get((*key, arm["label"]), {})
            for step in arm["steps"]:
                if step["cpu_per_page"] is None or step["pages"] < ENOUGH_PAGES or not step["goodput"]:
                    continue
                turned = summary["manifest"]["knobs"] | own | step["knobs"]
                found.append(
                    MeasuredCpu(
                        run=path.parent.name,
                        arm=key,
                        fan_out=max(1, int(number(turned["fan_out"], "fan_out"))),
                        work=number(turned["work"], "work"),
                        goodput=number(step["goodput"], "goodput"),
                        cpu_per_page=number(step["cpu_per_page"], "cpu_per_page"),
                        beside=number(step.get("cpu_beside") or 0.0, "cpu_beside"),
                    )
                )
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return found


def noise_floor(runtime: str, machine: Mapping[str, Any], *, quick: bool) -> float | None:
    """Return a share; None if no valid run of this machine, runtime and pace has measured it."""
    for path in folders.summaries(NOISE):
        summary = folders.summary(path)
        with suppress(ValueError, KeyError, TypeError):  # a file that is damaged, or holds no floor
            holds = summary["complete"] is True and summary["verdict"]["status"] in {"confirmed", "not confirmed"}
            known = summary["manifest"]
            alike = (summary["runtime"], known["machine"], known["knobs"]["quick"]) == (runtime, machine, quick)
            if holds and alike:
                return number(summary["noise_floor"], "noise_floor")
    return None
