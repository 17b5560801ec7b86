"""What do the threads cost that Django starts for each request under ASGI?

An async page needs no thread, but Django starts two for it. Before and after the page, Django calls its sync receivers
of request_started and request_finished in a thread. This thread belongs to the request (asgiref's
ThreadSensitiveContext) and idles until the page ends. A second thread then shuts it down. Three targets serve the same
async page: Django as it is; without these receivers, so that the threads start only when the response is closed; and
without ThreadSensitiveContext as well, so that all requests share one thread.

Predict: Django as it is has one thread for each page in flight, the other two have a few in total. Starting two threads
costs some tenths of a millisecond of CPU. That is little for a page that computes, and much for one that only waits.

You will see the threads follow the users in the first arm only. CPU per page falls clearly once requests share one
thread.

In your project: a page that computes does not notice. If you serve many short async pages per second, the threads are a
visible part of Django's own cost, and no setting turns them off: the arms replace its handler.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, cpu_of, highest, judged, known
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

ARMS = tuple(Arm(target, "gather") for target in ("asgi", "asgi-no-receivers", "asgi-shared-thread"))
FEWER = 0.5  # of the threads of Django as it comes, which the others stay below
CHEAPER = 0.97  # of its CPU per page, likewise


def judge(points: Points) -> Judgement:
    top = highest(points)
    threads = [known(point.inside.threads, "how many threads there were") for point in top]
    cpu = [cpu_of(point) for point in top]
    figures = (
        f"at {top[0].level.name} a page took {duration(cpu[0])} of CPU and Django had {threads[0]:.0f} threads; "
        f"without its receivers {duration(cpu[1])} and {threads[1]:.0f}, without a thread of the request's own "
        f"{duration(cpu[2])} and {threads[2]:.0f}: {digits(100 * (1 - cpu[2] / cpu[0]))} % less CPU"
    )
    seen = max(threads[1:]) < FEWER * threads[0] and cpu[2] < CHEAPER * cpu[0]
    return judged(seen, "Django's threads cost CPU", figures)


EXPERIMENT = Experiment(
    seconds=(16, 5),
    arms=ARMS,
    levels=users(50),
    knobs={"latency": 0.2, "fan_out": 1},
    fresh=True,
    plots=("CPU per page", "Threads", "Memory", "Goodput"),
    claims=(
        Claim(
            "Since asgiref ends a request's thread by another thread, every ASGI request of Django starts two short "
            "lived threads, also for an async view that needs none: 5 % in a page that does nothing else.",
            "bufke, on asgiref pull request 563 (2026)",
            "https://github.com/django/asgiref/pull/563",
            confirmed="holds for the threads; their CPU stands beside it",
        ),
    ),
)
