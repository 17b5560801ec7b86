"""Where a measured goodput parts from the predicted one, and what explains it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtests.analysis.statistics import LevelFigures
from loadtests.model.prediction import Deployment, Prediction
from loadtests.model.server_metrics import Worker
from loadtests.model.units import digits, duration

MISSED = 0.7  # of the predicted goodput: below it, something else limited the target, whether it was seen or not
BUSY_CORES = 0.85  # of the cores that a target can have: they are spent
HELD_BACK = 0.05  # share of the time that a CPU limit takes away
OFTEN = 0.1  # share of pages that fail beyond those that were predicted to
HELD = 0.2  # share of the slots in use that have no page
UNEVEN = 0.5  # by this share of an even share a worker may part from it
LAG = 0.05  # seconds that an event loop comes back late: every page of its worker waits as long
PAGES_EACH = 3  # for each worker, to tell whether they share the pages evenly

UNKNOWN, RESTARTS = "unknown", "restarts"


@dataclass(frozen=True, slots=True)
class Cause:
    """`name` for a column, `words` for a sentence. `certain`: it takes goodput away wherever it is seen."""

    name: str
    words: str
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """`share`: of the predicted goodput, by which the measured one is above or below it."""

    arm: str
    figures: LevelFigures
    predicted: Prediction
    share: float
    cause: Cause | None

    @property
    def missed(self) -> bool:
        """Return whether something else limited the target than what was predicted to."""
        return 1 + self.share < MISSED or (self.share < 0 and self.cause is not None and self.cause.certain)

    @property
    def limited_by(self) -> str:
        if not self.missed:
            return self.predicted.bottleneck
        return self.cause.name if self.cause else UNKNOWN

    @property
    def sentence(self) -> str:
        figures = (
            f"{self.arm} at {self.figures.level.name}: {digits(self.figures.goodput)} pages/s measured, "
            f"{digits(self.predicted.goodput)} predicted"
        )
        if self.predicted.goodput:
            figures += f", {self.share:+.0%}"
        if not self.missed:
            return f"{figures} (limited by {self.predicted.bottleneck})."
        return f"{figures}: {self.cause.words if self.cause else 'what limited it is not known'}."


def gap(arm: str, step: LevelFigures, predicted: Prediction, deployment: Deployment, floor: float) -> Gap | None:
    """Return None where the two agree but for the noise, of which `floor` is a share."""
    share = step.goodput / predicted.goodput - 1 if predicted.goodput else float(bool(step.goodput))
    if predicted.failing is None and share < 0:
        return None  # it is an upper bound
    likely = step.intervals["goodput"]
    if likely is not None and likely.low <= predicted.goodput <= likely.high:
        return None
    one_page = len(step.goodputs) / step.pages if step.pages else 1.0  # what a window's edge can cut off
    if abs(share) <= max(floor, step.spread, 1.5 * one_page):
        return None
    return Gap(arm, step, predicted, share, next(causes(step, predicted, deployment), None))


def causes(step: LevelFigures, predicted: Prediction, deployment: Deployment) -> Iterator[Cause]:
    """Yield what explains a goodput below the predicted one, the most certain first."""
    seen, seconds = step.inside, step.seconds or math.inf
    failed = sum(step.failures.values())
    asked = step.pages + failed
    if failed > (OFTEN + (predicted.failing or 0.0)) * asked:
        yield Cause("failures", f"{failed} of {asked} pages failed", certain=True)
    if seen.workers_started:
        yield Cause(RESTARTS, workers_replaced(step), certain=True)
    pages = [worker.pages for worker in seen.workers] + [0.0] * (deployment.workers - len(seen.workers))
    even = sum(pages) / len(pages)
    if len(pages) >= 2 and even >= PAGES_EACH and max(abs(number - even) for number in pages) >= UNEVEN * even:
        each = ", ".join(f"{number:.0f}" for number in pages)
        shared = "since each serves the connections that it happened to get"
        yield Cause("uneven workers", f"its {len(pages)} workers finished {each} pages, {shared}", certain=True)
    throttled, used = (seen.throttled_seconds or 0.0) / seconds, (seen.cpu_seconds or 0.0) / seconds
    if throttled > HELD_BACK:
        yield Cause("cpu limit", f"its CPU limit held it back {throttled:.0%} of the time")
    if used >= BUSY_CORES * deployment.cores:
        yield Cause("cpu", f"its processes computed on {digits(used)} of {digits(deployment.cores)} cores")
    if step.machine is not None and step.machine.disturbed:
        yield Cause("busy machine", f"something else used the machine: {step.machine.words}")


def workers_replaced(step: LevelFigures) -> str:
    number = int(step.inside.workers_started or 0)
    ended = f"{number} workers ended and were" if number > 1 else "1 worker ended and was"
    return f"{ended} replaced, and the service's log may say why"


def notices(arm: str, step: LevelFigures, predicted: Prediction | None, apart: Gap | None) -> Iterator[str]:
    """Say what nobody should have to look for, whatever the goodput; `apart`: the gap, which may have said it."""
    if predicted is not None and predicted.reason and step.failures:
        yield f"{arm} at {step.level.name}: pages fail as predicted: {predicted.reason}."
    held = (step.inside.slots_busy or 0.0) - (step.inside.pages_in_flight or 0.0)
    if held >= max(1.0, HELD * (step.inside.slots_busy or 0.0)):
        yield (
            f"{arm} at {step.level.name}: {digits(held)} slots are taken by connections whose request has not come "
            "whole, or whose answer is not read."
        )
    if step.inside.workers_started and not (apart and apart.limited_by == RESTARTS):
        yield f"{arm} at {step.level.name}: {workers_replaced(step)}."
    if ended := sum(worker.ended for worker in step.inside.api_workers):
        yield f"{arm} at {step.level.name}: {ended} of the api's workers ended, and the api's log may say why."
    if (latest := blocked(step.inside.workers)) is not None:
        yield (
            f"{arm} at {step.level.name}: the event loop of one of {len(step.inside.workers)} workers came back up to "
            f"{duration(latest)} late, and most others in time. Some code blocks it, or it got most of the connections."
        )


def blocked(workers: Sequence[Worker]) -> float | None:
    """Return by how many seconds the event loop of one worker is late where half of them or more are in time."""
    late = sorted(worker.late for worker in workers if worker.late is not None)
    return late[-1] if len(late) > 1 and late[-1] > LAG >= 2 * late[len(late) // 2 - 1] else None


def limited_by(gap: Gap | None, predicted: Prediction | None) -> str | None:
    """Return what limited a step, as far as it is known."""
    if gap is not None:
        return gap.limited_by
    return None if predicted is None else predicted.bottleneck
