"""Does a task that a view leaves behind ever finish?

`asyncio.create_task` and return: the page is answered, the work goes on. Under ASGI there is an event loop for it to
go on in. Under WSGI the view's loop ends with the view, and its tasks are cancelled, without a word to anybody.

Predict: under ASGI as many tasks finish as were started, under WSGI none. What is handed to a thread of the process
finishes under both.

You will see that, in tasks per second. Nothing in the answers, the statuses or the log differs.

In your project: a task left behind is lost at the next deployment in any case. Use it for what may be lost; hand what
must not be lost to a queue that outlives the process.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, highest, judged
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Point, Quick
from loadtests.model.load_level import users

ONE_MORE = {"calls": "each page leaves one more call behind, which is made or cancelled"}
WAYS = ("fire_and_forget", "hand_over")
ARMS = tuple(Arm(target, way, breaks=ONE_MORE) for way in WAYS for target in ("wsgi", "asgi"))
MOST, HARDLY_ANY = 0.8, 0.1  # of the tasks that were started


def judge(points: Points) -> Judgement:
    wsgi, asgi, *handed = map(finished, highest(points))
    figures = (
        f"of the tasks that pages left behind {asgi:.0%} finished under ASGI and {wsgi:.0%} under WSGI; of what was "
        f"handed to a thread of the process {handed[1]:.0%} and {handed[0]:.0%}"
    )
    seen = asgi >= MOST and wsgi <= HARDLY_ANY and min(handed) >= MOST
    return judged(seen, "Finished under ASGI, cancelled under WSGI", figures)


def finished(point: Point) -> float:
    """Return the share of the tasks; at a window's edges a few are started and not yet finished."""
    started = point.inside.background_started
    return min(1.0, (point.inside.background_finished or 0.0) / started) if started else 0.0


EXPERIMENT = Experiment(
    seconds=(23, 6),
    arms=ARMS,
    levels=users(5),
    knobs={"latency": 0.3},
    plots=("Work after the response", "Response time", "Goodput"),
    claims=(
        Claim(
            "A view can start a task, answer at once, and let the task go on.",
            "Jace Medlin, Async Views in Django 3.1 (2020)",
            "https://gdevops.frama.io/django/versions/3.1/async/jace/jace.html",
            confirmed="depends on the server: under ASGI only",
        ),
        Claim(
            "Under WSGI the event loop ends with the view and cancels what is unfinished.",
            "Flask pull request 3967 (2021)",
            "https://github.com/pallets/flask/pull/3967",
        ),
    ),
    quick=Quick(knobs={"latency": 0.1}),
)
