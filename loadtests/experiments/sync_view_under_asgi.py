"""Are sync views under ASGI still served one after the other?

In 2020 they were: all sync views of a process shared one thread, so that a sync view of a second let one page through
per second. Since Django 4 each request in flight has a thread of its own.

Predict: a sync view under ASGI follows the users like an async one, without slots, at one thread more a page in
flight: nothing limits them but memory.

You will see both arms on one line as long as CPU lasts, and what differs: threads and CPU per page. (Memory does not:
both arms are one process, which keeps what it once took.)

In your project: moving to ASGI does not serialise your sync views any more. But nothing caps their threads either:
put a limit in front, since each may hold a database connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.experiments import Arm, Claim, Experiment, Judgement, Point, Quick, expected, judged, last
from loadtests.step import users

SYNC, ASYNC = Arm("asgi", "threadpool"), Arm("asgi", "gather")
MANY_TIMES = 5.0  # what one thread for all could serve
A_THREAD_EACH = 0.9  # threads for each page in flight, at the least


def judge(points: Sequence[Point]) -> Judgement:
    sync, asynchronous = last(points, SYNC), last(points, ASYNC)
    serialised = 1 / expected(sync).page_time
    threads, pages = sync.inside.threads or 0, max(1.0, sync.inside.pages_in_flight or 0)
    cost = ""
    if sync.cpu_per_page and asynchronous.cpu_per_page:
        cost = f", {sync.cpu_per_page * 1000:.1f} ms of CPU a page against {asynchronous.cpu_per_page * 1000:.1f} ms"
    figures = (
        f"at {sync.step.name} sync views under ASGI served {sync.goodput:.1f} pages/s, where one thread for all would "
        f"serve {serialised:.1f}, and async views {asynchronous.goodput:.1f}; it took {threads:.0f} threads{cost}"
    )
    seen = sync.goodput >= MANY_TIMES * serialised and threads >= A_THREAD_EACH * pages
    return judged(seen, "A thread each, and no longer one for all", figures)


EXPERIMENT = Experiment(
    name="sync-view-under-asgi",
    arms=(SYNC, ASYNC),
    steps=users(1, 50),
    judge=judge,
    plots=("Goodput", "Response time", "Threads", "CPU per page"),
    claims=(
        Claim(
            "Sync views under ASGI share one thread and are served one after the other.",
            "asgiref issue 218 (2020)",
            "https://github.com/django/asgiref/issues/218",
            confirmed="no longer holds",
        ),
        Claim(
            "Since Django 4.0 each request has a thread of its own.",
            "Carlton Gibson, channels issue 1587 (2021)",
            "https://github.com/django/channels/issues/1587",
        ),
    ),
    quick=Quick(steps=users(1, 20), knobs={"latency": 0.5}),
)
