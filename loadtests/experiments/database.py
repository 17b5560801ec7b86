"""Does the async ORM serve more pages than the sync one?

Each page makes one query of 0.2 s through Django's ORM: in a sync view, in an async view by `sync_to_async`, and in
an async view by the `a…` methods; under WSGI and under ASGI. SQLite by default, with a function that sleeps; with
DATABASE_URL a real PostgreSQL (`pg_sleep`, and Django's connection pool).

Predict: Django's connections belong to threads, so that every query runs in one, whatever the view looks like. Under
WSGI the slots limit; under ASGI each page in flight takes a thread and a connection, as a sync view does.

You will see three ASGI bars of the same length, and as many threads as pages. With a pool the pool is the limit: ten
connections serve what ten slots serve.

In your project: for a page that waits for your database the database's connections decide, and they are fewer than
your users. ASGI does not add any. Put a pool in front, size it, and size your slots to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.experiments import Arm, Claim, Experiment, Judgement, Point, Quick, judged, last
from loadtests.step import users

WSGI = Arm("wsgi-database", "orm_sync")
SYNC, WRAPPED, ASYNC = (Arm("asgi-database", name) for name in ("orm_sync", "orm_to_async", "orm_async"))
ALIKE = 1.3  # times the goodput of the slowest way under ASGI
A_THREAD_EACH = 0.8  # for each page in flight, at the least


def judge(points: Sequence[Point]) -> Judgement:
    wsgi, asgi = last(points, WSGI), [last(points, arm) for arm in (SYNC, WRAPPED, ASYNC)]
    threads, pages = asgi[2].inside.threads or 0, max(1.0, asgi[2].inside.pages_in_flight or 0)
    served = [point.goodput for point in asgi]
    figures = (
        f"at {wsgi.step.name} ASGI served {served[0]:.1f} pages/s with sync queries, {served[1]:.1f} through "
        f"sync_to_async and {served[2]:.1f} with the a… methods, by {threads:.0f} threads for {pages:.0f} pages; WSGI "
        f"{wsgi.goodput:.1f} with {wsgi.slots} slots"
    )
    seen = min(served) and max(served) / min(served) <= ALIKE and threads >= A_THREAD_EACH * pages and pages > 1
    return judged(seen, "The async ORM is threads inside", figures)


EXPERIMENT = Experiment(
    name="database",
    arms=(WSGI, SYNC, WRAPPED, ASYNC),
    steps=users(40),
    knobs={"latency": 0.2, "fan_out": 1},
    judge=judge,
    plots=("Goodput", "Threads", "CPU per page", "Memory"),
    claims=(
        Claim(
            "The a… methods need no sync_to_async around them, but the work below them stays synchronous.",
            "Django 4.1 release notes (2022)",
            "https://docs.djangoproject.com/en/4.2/releases/4.1",
        ),
    ),
    quick=Quick(steps=users(25), knobs={"latency": 0.2, "fan_out": 1}),
)
