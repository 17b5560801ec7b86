"""What happens to a page whose user has left?

Users here lose patience after half a second and close their connection; a page takes a second. Whoever leaves makes
room for a user who does the same.

Predict: under ASGI Django hears of it and cancels an async view, whose calls end with it. A sync view it cannot
stop: its thread goes on. Under WSGI nothing looks at the connection before the answer is written: every page is worked
on to its end.

You will see calls that were hung up on, and calls that the api answered for nobody: full slots, full load at the api,
and no goodput at all. The api tells, because a server that counts its own pages cannot see a thread that goes on.

In your project: a rush makes users reload. Under WSGI each reload is one more page to work on while the old one goes
on; timeouts in front of the server do not free its slots. ASGI spares you that for async views only.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, highest, judged, known
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Point
from loadtests.model.load_level import users

PATIENCE = 0.5  # seconds; half of what a page takes
GONE = f"its users leave after {PATIENCE:g} s, and the formula does not follow pages that go on without them"
ARMS = tuple(
    Arm(target, strategy, patience=PATIENCE, fails=True, takes=2 * PATIENCE, unknown=GONE)
    for target, strategy in (("wsgi", "threadpool"), ("asgi", "threadpool"), ("asgi", "gather"))
)
MOST = 0.8  # of the calls


def judge(points: Points) -> Judgement:
    arms = highest(points)
    wsgi, sync, asynchronous = map(share_answered, arms)
    left = not any(point.pages for point in arms)
    figures = (
        f"{'all' if left else 'not all'} users left before their page was there; of the calls of their pages the api "
        f"answered {wsgi:.0%} for nobody under WSGI, {sync:.0%} of a sync view under ASGI, and {asynchronous:.0%} of "
        "an async one, which ended the others"
    )
    seen = left and min(wsgi, sync) >= MOST and asynchronous <= 1 - MOST
    return judged(seen, "An async view under ASGI is cancelled, all else is done for nobody", figures)


def share_answered(point: Point) -> float:
    """Return the share of the calls that the api answered; others were hung up on. Raises CannotJudge."""
    answered = point.inside.api_calls_answered or 0.0
    calls = answered + (point.inside.api_calls_abandoned or 0.0)
    return answered / known(calls or None, f"what became of the calls of {point.arm.words}")


EXPERIMENT = Experiment(
    seconds=(21, 13),
    arms=ARMS,
    levels=users(6),
    knobs={"latency": 2 * PATIENCE},
    plots=("Done for nobody", "External concurrency"),
    claims=(
        Claim(
            "A client that disconnects does not stop an async view in Django 4.2, but does in 5.0.",
            "mapped pull request 116 (2024)",
            "https://github.com/commonknowledge/mapped/pull/116",
            confirmed="holds for today's Django; 4.2 is not among the arms",
        ),
    ),
)
