"""WSGI or ASGI, for the pages of a project of our own?

The project is served twice, by gunicorn under WSGI and by uvicorn under ASGI, with the lab's limits. Its users ask for
the pages that pages.toml describes, one after the other, and an answer counts if it passes the page's check.

Predict: what a page takes is measured with one user. From then on a page under WSGI holds one of workers × threads
slots for so long, and each page takes its CPU under both; whichever ends first limits the project.

You will see the same response time under both servers for one user. With more users one of them may level off: at its
slots, at the CPU of a core, or at something that the lab does not know, as a lock or a database, which it says.

In your project: if both serve the same, choose what you know how to run. If slots are what limits WSGI, more threads
may be all that is needed; if it is CPU, more workers, under either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter

from loadtests.analysis import noise
from loadtests.experiments.judging import expected, highest, how_long, interval_of, ratio_interval, serves_more
from loadtests.model.experiment import Arm, Experiment, Judgement, Point, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits

BREAKS = dict.fromkeys(
    ("calls", "physical minimum"), "the pages are a project's own, and nobody knows which calls they make"
)
# A page waits once, for what it took with one user; the generator fills that in when it has measured it.
NO_CALLS = {"fan_out": 1, "latency": 0, "jitter": 0, "latency_p99": 0, "correlated": 0, "fail": 0, "work": 0}
ARMS = tuple(Arm(target, "pages", knobs=NO_CALLS, breaks=BREAKS) for target in ("wsgi-own", "asgi-own"))
UNKNOWN = "nothing is known of a deployment that the lab did not start"
UNSEEN = dict.fromkeys((*BREAKS, "pages"), UNKNOWN)
EXPLAINED = 0.7  # of the predicted goodput; below it something else limits a server (gaps.py)
LIMITS = {"users": "nothing at this load", "arrivals": "nothing at this load", "cpu": "CPU"}


def judge(points: Sequence[Point]) -> Judgement:
    top = highest(points)
    served = [f"{point.arm.server} served {digits(point.goodput)} pages/s ({how_long(point)})" for point in top]
    figures = f"at {top[0].level.name} {' and '.join(served)}"
    known = ", ".join(f"{limit(point)} for {point.arm.server}" for point in top if point.predicted)
    limits = f"What limits them: {known}." if known else "What limits them is not known."
    less, more = min(top, key=attrgetter("goodput")), max(top, key=attrgetter("goodput"))
    if unseen := [point for point in top if point.predicted and point.goodput < EXPLAINED * point.predicted.goodput]:
        short = " and ".join(
            f"{point.arm.server} below the {digits(expected(point).goodput)} pages/s that page time, slots and CPU let"
            for point in unseen
        )
        why = "Something limits it that the lab does not see: a lock, a database, an upstream, a cache that is cold?"
        return Judgement(confirmed=False, sentence=f"Not explained: {figures}, {short}. {why}")
    if len(top) == 1:
        return Judgement(confirmed=True, sentence=f"Nothing to compare with: {figures}. {limits}")
    sure = ratio_interval(more, less)
    if noise.no_difference(less.goodputs, more.goodputs, less.noise_floor) or (sure and sure[0] <= 1):
        return Judgement(confirmed=True, sentence=f"No difference: {figures}. {limits}")
    ahead = f"{serves_more(more, less)}: {' and '.join(served)}{interval_of(more, less)}"
    return Judgement(confirmed=True, sentence=f"{ahead}. {limits}")


def limit(point: Point) -> str:
    bottleneck = expected(point).bottleneck
    return f"{point.slots} slots" if bottleneck == "slots" else LIMITS.get(bottleneck, bottleneck)


def elsewhere(names: Iterable[str]) -> Experiment:
    """Return the experiment for deployments that the lab did not start, of which it sees the answers alone."""
    arms = (Arm(name, "pages", knobs=NO_CALLS, breaks=UNSEEN, unknown=UNKNOWN) for name in names)
    return replace(OWN_WORKLOAD, arms=tuple(arms))


OWN_WORKLOAD = Experiment(
    name="own-workload",
    arms=ARMS,
    levels=users(1, 10, 50, 100),
    knobs=NO_CALLS,
    quick=Quick(levels=users(1, 10, 50)),
    judge=judge,
)
