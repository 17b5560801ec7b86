"""What the experiments share to judge their points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from loadtests.model.experiment import Arm, CannotJudge, Judgement, Point
from loadtests.model.prediction import Prediction
from loadtests.model.units import digits, duration

Points = Sequence[Point]


def judged(
    seen: object, lesson: str, figures: str, otherwise: str = "Not as predicted", key: Iterable[str] = ()
) -> Judgement:
    """Return `lesson: figures` if `seen`, else `otherwise: figures`; `key`: those that decide."""
    return Judgement(bool(seen), f"{lesson if seen else otherwise}: {figures}.", key=tuple(key))


def unseen(figures: str, why: str = "Not as predicted") -> Judgement:
    return judged(seen=False, lesson="", figures=figures, otherwise=why)


def how_long(point: Point) -> str:
    """Return how long pages take, for a sentence: p95, or the median of too few pages."""
    return f"median {duration(point.p50)}" if math.isnan(point.p95) else f"p95 {duration(point.p95)}"


def rate(point: Point) -> str:
    """Return the goodput with its 95 % interval, as a figure of its own."""
    between = f" ({digits(point.interval[0])}–{digits(point.interval[1])})" if point.interval else ""
    return f"{point.arm.words}: {digits(point.goodput)} pages/s{between}"


def ratio(more: Point, less: Point) -> str:
    """Return how many times the goodput, with its 95 % interval, as a figure of its own."""
    sure = ratio_interval(more, less)
    between = f" ({digits(sure[0])}–{digits(sure[1])})" if sure else ""
    times = digits(more.goodput / less.goodput) if less.goodput else "–"
    return f"{more.arm.server} / {less.arm.server}: {times}{between}"


def ratio_interval(more: Point, less: Point) -> tuple[float, float] | None:
    """Return the 95 % interval of how many times the goodput; None where too little is known."""
    from loadtests.analysis import uncertainty  # noqa: PLC0415  # not on the system's Python: it takes numpy

    return uncertainty.of_ratio(more.goodputs, less.goodputs, (more.drawn, less.drawn))


def serves_more(more: Point, less: Point) -> str:
    """Return how many times the goodput, as a headline."""
    ratio = more.goodput / less.goodput if less.goodput else 0.0
    return f"{more.arm.server} serves {digits(ratio)} times as many pages at {more.level.name}"


def interval_of(more: Point, less: Point) -> str:
    """Return what that ratio is with 95 % confidence, as the end of a sentence; empty where too little is known."""
    sure = ratio_interval(more, less)
    return f"; the ratio is {digits(sure[0])} to {digits(sure[1])} (95 %)" if sure else ""


def expected(point: Point) -> Prediction:
    """Return what the formula predicts. Raises ValueError for an arm that it does not know."""
    if point.predicted is None:
        raise ValueError(f"{point.arm.name} has no prediction")
    return point.predicted


def of(points: Points, arm: Arm) -> list[Point]:
    """Return the arm's points, by ascending load."""
    return [point for point in points if point.arm == arm]


def last(points: Points, arm: Arm) -> Point:
    """Return the arm's point at its highest load."""
    return of(points, arm)[-1]


def known(value: float | None, what: str) -> float:
    """Return the value. Raises CannotJudge where there is none; `what` says of what."""
    if value is None:
        raise CannotJudge(f"nobody could read {what}")
    return value


def cpu_of(point: Point) -> float:
    """Return the CPU seconds per page. Raises CannotJudge."""
    return known(point.cpu_per_page, f"what CPU {point.arm.words} took")


def highest(points: Points) -> list[Point]:
    """Return the points of the highest load, in the arms' order; open levels are above closed ones."""
    top = max((point.level for point in points), default=None)
    return [point for point in points if point.level == top]
