"""What the experiments share to judge their points."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadtests.model.experiment import Arm, CannotJudge, Judgement, Point
from loadtests.model.prediction import Prediction
from loadtests.model.units import digits, duration


def judged(seen: object, lesson: str, figures: str) -> Judgement:
    """What was predicted was seen (anything true), which is the lesson; or it was not, and the figures say so."""
    return Judgement(bool(seen), f"{lesson if seen else 'Not as predicted'}: {figures}.")


def how_long(point: Point) -> str:
    """How long pages take, as a sentence says it: the slow ones, or half of them where too few came to tell."""
    return f"median {duration(point.p50)}" if math.isnan(point.p95) else f"p95 {duration(point.p95)}"


def times_as_many(more: Point, less: Point) -> str:
    """How many times the goodput, as a sentence says it, with its 95 % interval."""
    from loadtests.analysis import uncertainty  # noqa: PLC0415  # not on the system's Python: it takes numpy

    ratio = more.goodput / less.goodput if less.goodput else 0.0
    sure = uncertainty.of_ratio(more.goodputs, less.goodputs, (more.drawn, less.drawn))
    interval = f" (95 %: {digits(sure.low)} to {digits(sure.high)})" if sure else ""
    return f"{digits(ratio)} times as many{interval}"


def expected(point: Point) -> Prediction:
    """What the formula predicts, for an arm that it knows."""
    if point.predicted is None:
        raise ValueError(f"{point.arm.name} has no prediction")
    return point.predicted


def of(points: Sequence[Point], arm: Arm) -> list[Point]:
    """The arm's, by ascending steps."""
    return [point for point in points if point.arm == arm]


def last(points: Sequence[Point], arm: Arm) -> Point:
    """The arm's at its highest step."""
    return of(points, arm)[-1]


def cpu_of(points: Sequence[Point], arm: Arm) -> float:
    """CPU seconds a page at the arm's highest step. Raises CannotJudge."""
    point = last(points, arm)
    if point.cpu_per_page is None:
        raise CannotJudge(f"nobody could read what CPU {arm.words} took")
    return point.cpu_per_page


def highest(points: Sequence[Point]) -> list[Point]:
    """Those of the highest step, in the arms' order; open steps are above closed ones."""
    top = max((point.level for point in points), default=None)
    return [point for point in points if point.level == top]
