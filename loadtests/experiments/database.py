"""Does the async ORM serve more pages than the sync one?

Each page makes one query of 0.2 s through Django's ORM: in a sync view, in an async view by `sync_to_async`, and in
an async view by the `a…` methods; under WSGI and under ASGI. SQLite by default, with a function that sleeps; with
DATABASE_URL a real PostgreSQL (`pg_sleep`, and Django's connection pool).

Predict: Django's connections belong to threads, so that every query runs in one, whatever the view looks like. Under
WSGI the slots limit; under ASGI each page in flight takes a thread and a connection, as a sync view does. And since
that is one thread and one connection a page, `asyncio.gather` over the `a…` methods gains nothing: three queries take
three times as long as one.

You will see three ASGI bars of the same length, and the fourth, of pages with three queries side by side, at a third
of it. With a pool of PostgreSQL's that is smaller than the pages in flight the pool is the limit: with DATABASE_POOL=10
ten connections serve what ten slots serve.

In your project: for a page that waits for your database the database's connections decide, and they are fewer than
your users. ASGI does not add any. Put a pool in front, size it, and size your slots to it.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, highest, judged, rate
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

QUERIES_ONLY = {"calls": "its pages ask the database, and not the api"}
QUERIES = 3
ARMS = (
    Arm("wsgi-database", "orm_sync", breaks=QUERIES_ONLY),
    *(Arm("asgi-database", name, breaks=QUERIES_ONLY) for name in ("orm_sync", "orm_to_async", "orm_async")),
    Arm("asgi-database", "orm_gather", knobs={"fan_out": QUERIES}, breaks=QUERIES_ONLY),
)
ALIKE = 1.3  # times the goodput of the slowest way under ASGI
THE_SUM = 0.8  # of the time that its queries take one after the other


def judge(points: Points) -> Judgement:
    wsgi, *asgi, together = highest(points)
    served = [point.goodput for point in asgi]
    figures = (
        f"at {wsgi.level.name} ASGI served {digits(served[0])} pages/s with sync queries, {digits(served[1])} through "
        f"sync_to_async and {digits(served[2])} with the a… methods, and WSGI {digits(wsgi.goodput)} with {wsgi.slots} "
        f"slots; {QUERIES} queries by gather took a page {duration(together.p50)}, one {duration(asgi[2].p50)}"
    )
    one_by_one = together.p50 >= THE_SUM * QUERIES * asgi[2].p50
    seen = min(served) and max(served) / min(served) <= ALIKE and one_by_one
    return judged(seen, "The async ORM is threads inside", figures, key=map(rate, (wsgi, asgi[0], asgi[2])))


EXPERIMENT = Experiment(
    seconds=(29, 10),
    arms=ARMS,
    levels=users(40),
    knobs={"latency": 0.2, "fan_out": 1},
    plots=("Goodput", "Threads", "CPU per page", "Memory"),
    claims=(
        Claim(
            "The a… methods need no sync_to_async around them, but the work below them stays synchronous.",
            "Django 4.1 release notes (2022)",
            "https://docs.djangoproject.com/en/4.2/releases/4.1",
        ),
    ),
    quick=Quick(levels=users(25)),
)
