"""What does one call that never answers do to a page?

Of a page's ten calls one hangs. By `gather` the whole page waits for it until the client's timeout, and is a 504.
With a deadline the page gives up earlier. And a page that takes what has come by the deadline is answered, without
that one.

Predict: whole pages only where partial ones are meant. By `gather` a page fails after the timeout of 0.8 s, with a
deadline after 0.4 s. Under WSGI a page holds its slot meanwhile, so that others may have to wait for it as well; a
deadline helps there as much: slots / 0.4 s let through, 25 partial pages/s with ten.

You will see no goodput but for the partial arms, and how long it took the others to fail. (After a failure a user
waits half a second, as in every experiment.)

In your project: set a deadline for the page, not only a timeout for the call; decide which parts of a page may be
missing; and remember that under threads every second of timeout is a second of a slot.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, highest, judged, rate, unseen
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

CALL_TIMEOUT, DEADLINE = 0.8, 0.4  # seconds
SHORT_TIMEOUTS = {"CALL_TIMEOUT": f"{CALL_TIMEOUT:g}", "DEADLINE": f"{DEADLINE:g}"}
HANGING = "&hanging=1"
HANGS = "one of its calls hangs, and the formula does not know which of the page's timeouts ends it"
THREADS = Arm("wsgi", "threadpool", query=HANGING, fails=True, takes=1.5 * CALL_TIMEOUT, unknown=HANGS)
GATHER = Arm("asgi", "gather", query=HANGING, fails=True, takes=CALL_TIMEOUT, unknown=HANGS)
GIVES_UP = Arm("asgi", "deadline", query=HANGING, fails=True, takes=DEADLINE, unknown=HANGS)
SHORT = {"physical minimum": "it is answered at its deadline, whatever has come by then"}
NOT_MADE = {"calls": "calls that no thread has begun at the deadline are not made"}
PARTIAL = Arm("asgi", "partial", query=HANGING, takes=DEADLINE, unknown=HANGS, breaks=SHORT)
PARTIAL_THREADS = Arm(
    "wsgi", "partial_threads", query=HANGING, takes=2 * DEADLINE, unknown=HANGS, breaks={**SHORT, **NOT_MADE}
)
IN_TIME = 1.5  # times the deadline in which a page has to be there, or given up, without a queue
HELD = 1.15  # times slots / deadline, which partial pages under WSGI must not pass


def judge(points: Points) -> Judgement:
    *whole, partial, partial_threads = highest(points)
    threads, gather, gives_up = whole
    slots = partial_threads.slots or 0
    if came_whole := [point for point in whole if point.pages or not point.failures]:
        names = ", ".join(f"{point.arm.words} {point.pages}" for point in came_whole)
        return unseen(f"pages came whole although a call hung: {names}")
    figures = (
        f"with one call in ten hanging, at {partial.level.name}, no page came whole: by gather, with a timeout of "
        f"{CALL_TIMEOUT:g} s, it failed after {duration(gather.failed_after)}, with a deadline of {DEADLINE:g} s after "
        f"{duration(gives_up.failed_after)}, by threads under WSGI after {duration(threads.failed_after)}; "
        f"partial pages came at {digits(partial.goodput)} pages/s in {duration(partial.p50)} under ASGI, and at "
        f"{digits(partial_threads.goodput)} in {duration(partial_threads.p50)} with the {slots} slots of WSGI"
    )
    gave_up = gives_up.failed_after <= IN_TIME * DEADLINE < gather.failed_after
    came = partial.p50 <= IN_TIME * DEADLINE and 0 < partial_threads.goodput <= HELD * slots / DEADLINE
    key = [f"{point.arm.words}: failed after {duration(point.failed_after)}" for point in (gather, gives_up)]
    return judged(gave_up and came, "A deadline and a partial page save it", figures, key=[*key, rate(partial)])


EXPERIMENT = Experiment(
    seconds=(33, 16),
    arms=(THREADS, GATHER, GIVES_UP, PARTIAL, PARTIAL_THREADS),
    levels=users(20),
    knobs={"latency": 0.2},
    deployment=SHORT_TIMEOUTS,
    plots=("Goodput", "Response time", "External concurrency"),
    claims=(
        Claim(
            "asyncio.timeout limits the time spent waiting on something.",
            "Python documentation, Coroutines and Tasks",
            "https://docs.python.org/3/library/asyncio-task.html#timeouts",
            confirmed="holds, for the whole page: all of it is given up",
        ),
    ),
    quick=Quick(levels=users(15), knobs={"latency": 0.1}),
)
