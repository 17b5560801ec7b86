"""What does one call that never answers do to a page?

Of a page's ten calls one hangs. By `gather` the whole page waits for it until the client's timeout, and is a 504.
With a deadline the page gives up earlier. And a page that takes what has come by the deadline is answered, without
that one.

Predict: whole pages only where partial ones are meant. A page that waits for its timeout holds its slot meanwhile:
ten slots and a timeout of 1 s let through 10 pages/s, all of them failed.

You will see no goodput but for the partial arms, and WSGI's slots all taken by pages that wait for nothing.

In your project: set a deadline for the page, not only a timeout for the call; decide which parts of a page may be
missing; and remember that under threads every second of timeout is a second of a slot.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.experiments import (
    CALL_TIMEOUT,
    DEADLINE,
    SHORT_TIMEOUTS,
    Arm,
    Claim,
    Experiment,
    Judgement,
    Point,
    Quick,
    judged,
    last,
)
from loadtests.step import users

HANGING = "&hanging=1"
THREADS = Arm("wsgi", "threadpool", query=HANGING, fails=True, takes=2 * CALL_TIMEOUT, predictable=False)
GATHER = Arm("asgi", "gather", query=HANGING, fails=True, takes=CALL_TIMEOUT, predictable=False)
GIVES_UP = Arm("asgi", "deadline", query=HANGING, fails=True, takes=DEADLINE, predictable=False)
PARTIAL = Arm("asgi", "partial", query=HANGING, takes=DEADLINE, predictable=False)
PARTIAL_THREADS = Arm("wsgi", "partial_threads", query=HANGING, takes=2 * DEADLINE, predictable=False)
IN_TIME = 2.0  # times the deadline in which a partial page has to be there, without a queue
TAKEN = 0.9  # of the slots


def judge(points: Sequence[Point]) -> Judgement:
    whole, partial = [last(points, arm) for arm in (THREADS, GATHER, GIVES_UP)], last(points, PARTIAL)
    threads, gather, gives_up = whole
    held = threads.inside.pages_in_flight or 0
    figures = (
        f"with one call in ten hanging, at {partial.step.name}, none of {gather.failures} pages came whole by gather "
        f"with a timeout of {CALL_TIMEOUT:g} s, and none of {gives_up.failures} with a deadline of {DEADLINE:g} s; "
        f"partial pages came at {partial.goodput:.1f} pages/s in {partial.p50:.2f} s; under WSGI {held:.0f} of "
        f"{threads.slots} slots waited for nothing"
    )
    all_failed = not any(point.pages for point in whole) and all(point.failures for point in whole)
    seen = all_failed and partial.p50 <= IN_TIME * DEADLINE and held >= TAKEN * (threads.slots or 0)
    return judged(seen, "A deadline and a partial page save it", figures)


EXPERIMENT = Experiment(
    name="timeouts",
    arms=(THREADS, GATHER, GIVES_UP, PARTIAL, PARTIAL_THREADS),
    steps=users(20),
    knobs={"latency": 0.2},
    deployment=SHORT_TIMEOUTS,
    judge=judge,
    plots=("Goodput", "Response time", "External concurrency"),
    claims=(
        Claim(
            "asyncio.timeout limits the time spent waiting on something.",
            "Python documentation, Coroutines and Tasks",
            "https://docs.python.org/3/library/asyncio-task.html#timeouts",
            confirmed="holds, for the whole page: all of it is given up",
        ),
    ),
    quick=Quick(steps=users(15), knobs={"latency": 0.1}),
)
