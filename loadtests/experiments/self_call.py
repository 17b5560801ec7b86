"""Can a page call a view of its own server?

The articles' aggregator called a sync view of the server that served it, and got a ReadTimeout: the page held the
only thread that could have answered. Here the ten calls of an async page go to the aggregator's own sync view.

Predict: under ASGI each call gets a thread of its own and the page is whole. Under WSGI a page needs its own slot and
ten more; when users take all slots the calls queue behind pages that wait for these very calls: a deadlock until a
timeout ends it.

You will see ASGI serve, and WSGI fail at ten users if it has no more than ten slots, though one user alone gets
through.

In your project: do not call yourself over HTTP. Call the function. If you must, count the slots: pages that wait and
calls that they wait for share them.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, judged, last, of
from loadtests.experiments.timeouts import CALL_TIMEOUT, SHORT_TIMEOUTS
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users

NO_SLOT_LEFT = "its calls wait for slots that its own pages hold, and the formula knows no such circle"
OWN_CALLS = {
    "calls": "the target itself answers them, and not the api",
    "pages": "the target counts each call that it answers as a page",
}
WSGI = Arm("wsgi", "self_call", fails=True, takes=CALL_TIMEOUT, unknown=NO_SLOT_LEFT, breaks=OWN_CALLS)
ASGI = Arm("asgi", "self_call", breaks=OWN_CALLS)
MOSTLY = 0.5  # of the pages


def judge(points: Points) -> Judgement:
    (alone, *_, full), asgi = of(points, WSGI), last(points, ASGI)
    figures = (
        f"under ASGI {asgi.pages} of {asgi.pages + asgi.failures} pages were whole at {asgi.level.name}; under WSGI "
        f"{alone.pages} of {alone.pages + alone.failures} at {alone.level.name} and {full.pages} of "
        f"{full.pages + full.failures} at {full.level.name}, with {full.slots} slots"
    )
    deadlocked = full.failures > MOSTLY * (full.pages + full.failures)
    seen = not asgi.failures and asgi.pages and deadlocked and alone.pages > MOSTLY * (alone.pages + alone.failures)
    return judged(seen, "It works where every call gets a thread", figures)


EXPERIMENT = Experiment(
    seconds=(25, 12),
    arms=(WSGI, ASGI),
    levels=users(1, 10),
    knobs={"latency": 0.3},
    deployment=SHORT_TIMEOUTS,  # not one of its own: each other takes the services down and up again
    plots=("Goodput", "Response time", "Threads", "External concurrency"),
    claims=(
        Claim(
            "Async views of Django 3.1 may call pages of their own server, but hang when channels serves them.",
            "channels issue 1491 (2020)",
            "https://github.com/django/channels/issues/1491",
            confirmed="depends on the server: WSGI out of slots hangs, Django under ASGI does not (no channels here)",
        ),
    ),
    quick=Quick(knobs={"latency": 0.1}),
)
