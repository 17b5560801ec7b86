"""Are sync views under ASGI still served one after the other?

In 2020 they were: all sync views of a process shared one thread, so that a sync view of a second let one page through
per second. Since Django 4 each request in flight has a thread of its own. Pages here make a single call, in that
thread.

Predict: a sync view under ASGI follows the users like an async one, without slots, at one thread more a page in
flight: nothing limits them but memory.

You will see both arms on one line, in goodput and in threads: an async view has a thread a page as well. Django
starts it for each request, for what is sync around the view (signals, middleware), and it stands by until the page
ends. In a sync view it works.

In your project: moving to ASGI does not serialise your sync views any more. But nothing caps their threads either:
put a limit in front, since each may hold a database connection. And async views do not rid you of threads yet.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, expected, judged, of
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Point, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

SYNC, ASYNC = Arm("asgi", "sequential"), Arm("asgi", "gather")
ALIKE = 0.85  # of what async views serve
A_THREAD_EACH = 0.9  # threads more for each further page in flight, at the least


def judge(points: Points) -> Judgement:
    (alone, *_, sync), (alone_async, *_, asynchronous) = of(points, SYNC), of(points, ASYNC)
    serialised = 1 / expected(sync).page_time
    threads, pages = more_threads(alone, sync), (sync.inside.pages_in_flight or 0) - (alone.inside.pages_in_flight or 0)
    figures = (
        f"at {sync.level.name} sync views under ASGI served {digits(sync.goodput)} pages/s, where one thread for all "
        f"would serve {digits(serialised)}, and async views {digits(asynchronous.goodput)}; {pages:.0f} pages more in "
        f"flight took {threads:.0f} threads more, {more_threads(alone_async, asynchronous):.0f} with async views, "
        f"{duration(sync.cpu_per_page)} of CPU a page against {duration(asynchronous.cpu_per_page)}"
    )
    seen = sync.goodput >= ALIKE * asynchronous.goodput and threads >= A_THREAD_EACH * pages > 1
    return judged(seen, "A thread each, and no longer one for all", figures)


def more_threads(alone: Point, full: Point) -> float:
    return (full.inside.threads or 0) - (alone.inside.threads or 0)


EXPERIMENT = Experiment(
    seconds=(28, 8),
    arms=(SYNC, ASYNC),
    levels=users(1, 50),
    knobs={"fan_out": 1},  # by the page's own thread: it is these that count
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
    quick=Quick(levels=users(1, 20), knobs={"latency": 0.3}),
)
