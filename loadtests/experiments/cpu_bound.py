"""Does async help a page that computes?

Each page computes for 50 ms (a template, a serializer, a report) and makes one quick call.

Predict: one process computes on one core at a time, under either server: 1 / 0.05 = 20 pages/s, whatever the slots
and however many users. Neither threads nor an event loop change that.

You will see two lines on top of each other, flat from two users on.

In your project: if pages compute, add processes and cores (`--workers`), or compute less. An async view that computes
also keeps everybody else waiting, as `blocking-call` shows.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, highest, how_long, judged
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

WORK = 0.05  # CPU seconds a page
ALIKE = 1.15  # times the other's goodput
NO_MORE = 1.1  # times what one core can compute


def judge(points: Points) -> Judgement:
    wsgi, asgi = highest(points)
    figures = (
        f"at {wsgi.level.name} WSGI served {digits(wsgi.goodput)} pages/s ({how_long(wsgi)}) and ASGI "
        f"{digits(asgi.goodput)} ({how_long(asgi)}); {duration(WORK)} a page end at {1 / WORK:.0f} pages/s for "
        "one core"
    )
    limit = "one core is"
    if (wsgi.cores, asgi.cores) != (1, 1):
        limit = "cores are"
        figures += f", and with its workers WSGI had {digits(wsgi.cores)}, ASGI {digits(asgi.cores)}"
    slow, fast = sorted(point.goodput / point.cores for point in (wsgi, asgi))
    seen = slow and fast / slow <= ALIKE and fast <= NO_MORE / WORK
    return judged(seen, f"A tie, because {limit} the limit", figures)


EXPERIMENT = Experiment(
    seconds=(22, 5),
    arms=(Arm("wsgi", "threadpool"), Arm("asgi", "gather")),
    levels=users(1, 16),
    knobs={"work": WORK, "latency": 0.02, "fan_out": 1},
    claims=(
        Claim(
            "Async is not faster by itself: it helps where pages wait, and hardly where they compute.",
            "Flask documentation, Using async and await",
            "https://flask.palletsprojects.com/en/stable/async-await/",
        ),
    ),
    quick=Quick(levels=users(16)),
)
