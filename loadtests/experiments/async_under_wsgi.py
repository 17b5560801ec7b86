"""What does an async view do under WSGI?

Django runs it: each request gets a thread and an event loop of its own, which end with it. So the page's ten calls
are made side by side, as under ASGI. But the page holds its slot until they are done.

Predict: for one user the async view is as fast under WSGI as under ASGI. With more users than slots it stops at slots
/ latency, exactly where the sync view with threads stops. And it pays for a loop and a client a page.

You will see the two WSGI arms on one line, ASGI above, and the price in CPU per page: a loop, a client and ten new
connections for each page, against the connections that a thread keeps.

In your project: an async view under WSGI is a way to make calls side by side without a thread pool, not a way to
serve more users. If users wait for slots, change the server or the slots; if a page makes calls one by one, change
the view.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, expected, judged, last, of, rate
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

SYNC, ASYNC, ASGI = Arm("wsgi", "threadpool"), Arm("wsgi", "gather"), Arm("asgi", "gather")
AS_FAST = 1.5  # times the page under ASGI that it may take for one user
HELD = 1.15  # times slots / page time, which it must not pass
CLEARLY_MORE = 1.5
ALIKE = 0.8  # of what sync views with threads serve


def judge(points: Points) -> Judgement:
    (alone, *_, full), (alone_asgi, *_, full_asgi) = of(points, ASYNC), of(points, ASGI)
    sync = last(points, SYNC)
    inside = alone.p50 <= AS_FAST * alone_asgi.p50
    outside = full.goodput <= HELD * expected(full).goodput and full_asgi.goodput >= CLEARLY_MORE * full.goodput
    figures = (
        f"for {alone.level.name} an async page took {duration(alone.p50)} under WSGI and {duration(alone_asgi.p50)} "
        f"under ASGI; at {full.level.name} WSGI served {digits(full.goodput)} pages/s with its {full.slots} slots, "
        f"{digits(sync.goodput)} by sync views with threads, and ASGI {digits(full_asgi.goodput)}; a page costs "
        f"{duration(full.cpu_per_page)} of CPU there, {duration(sync.cpu_per_page)} as a sync view with threads, and "
        f"{duration(full_asgi.cpu_per_page)} under ASGI"
    )
    seen = inside and outside and full.goodput >= ALIKE * sync.goodput
    return judged(seen, "Concurrent inside, not outside", figures, key=map(rate, (full, sync, full_asgi)))


EXPERIMENT = Experiment(
    seconds=(38, 11),
    arms=(SYNC, ASYNC, ASGI),
    levels=users(1, 30),
    knobs={"latency": 0.5},
    claims=(
        Claim(
            "Under WSGI an async view runs in an event loop of its own: calls inside it are concurrent, but the "
            "benefits of an async stack do not come.",
            "Django documentation 3.1, Asynchronous support (2020)",
            "https://docs.djangoproject.com/en/3.1/topics/async",
        ),
    ),
    quick=Quick(levels=users(1, 20), knobs={"latency": 0.2}),
)
