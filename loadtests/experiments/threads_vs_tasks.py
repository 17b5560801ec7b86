"""What does something cost that only waits, as a thread and as a task?

A page that waits is a thread that sleeps, or a task that sleeps. Here a page starts twenty threads, or a thousand
tasks, for each of its calls. They sleep together and end, in a process of their own.

Predict: a thread takes some kilobytes of its own stack that it has touched, and as much again in the kernel; the
megabytes of its stack that tools show are only reserved. A task takes one or two kilobytes, and no kernel.

You will see ten to thirty times the memory for a thread. And two thousand threads are no wonder any more: they start
in about a second.

In your project: some hundred threads cost some megabytes. That is seldom a reason for async; tens of thousands of
open connections are, outside of Django: under ASGI it keeps a thread for each request as well (`sync-view-under-asgi`).
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, judged, last, of
from loadtests.model.experiment import Arm, CannotJudge, Claim, Experiment, Judgement, Point, Quick
from loadtests.model.load_level import turned
from loadtests.model.units import duration, size

TIMES = 4.0  # as much memory as a task, at the least
EACH = {"threads": 20, "tasks": 1_000}  # of a call

ARMS = tuple(
    Arm(
        "sleepers",
        kind,
        label=f"{each:,} {kind} a call",
        query=f"&each={each}",
        unknown="nobody knows how long so many take to start",
        breaks={"calls": "they sleep, and call nobody"},
    )
    for kind, each in EACH.items()
)


def judge(points: Points) -> Judgement:
    thread, task = (bytes_each(of(points, arm)) for arm in ARMS)
    figures = "; ".join(
        f"{sleepers(point):,} {point.arm.strategy} take {size(each)} each, and {duration(point.p50)} to start, sleep "
        "and end"
        for each, point in ((thread, last(points, ARMS[0])), (task, last(points, ARMS[1])))
    )
    times = thread / task if task > 0 else 0.0
    return judged(times >= TIMES, f"A task takes {times:.0f} times less memory", figures)


def sleepers(point: Point) -> int:
    return int(point.level.knobs["fan_out"]) * EACH[point.arm.strategy]


def bytes_each(points: Points) -> float:
    """Return the memory of each further sleeper: with the kernel's part where a limit counts it. Raises CannotJudge."""
    few, many = points[0], points[-1]
    for name in ("memory_limited", "memory"):
        less, more = getattr(few.inside, name), getattr(many.inside, name)
        if less is not None and more is not None:
            return float(more - less) / (sleepers(many) - sleepers(few))
    raise CannotJudge(f"nobody could read what memory {many.arm.words} took")


EXPERIMENT = Experiment(
    arms=ARMS,
    levels=turned(1, "fan_out", 1, 100),
    knobs={"latency": 2.0},
    plots=("Memory", "Threads", "Response time"),
    seconds=(52, 25),
    quick=Quick(levels=turned(1, "fan_out", 1, 20), knobs={"latency": 1.0}),
    claims=(
        Claim(
            "The stack of a thread is virtual memory and not its real cost; a task costs about two kilobytes.",
            "Jochen Wersdörfer, Django 3.1 Async (2020)",
            "https://wersdoerfer.de/blogs/ephes_blog/django-31-async/",
        ),
    ),
)
