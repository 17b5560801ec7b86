"""How many pages can a target work on at once, seen from outside?

Each page makes ten calls to a slow api, all at once under both servers: inside a page they are
equally concurrent. What differs is how many pages are worked on side by side.

Predict: under WSGI a page holds a slot (workers × threads, 10 by default) for as long as its calls
take, so pages/s cannot pass slots / latency, however many users wait, and response time grows as
users / goodput. Under ASGI a page that waits holds no slot: pages/s follows the users until the CPU is
spent. (Django keeps a thread for each request under ASGI too, but it only stands by.)

You will see two lines that part where there are as many users as slots: with 10, WSGI is flat at 10 pages/s while
its response time climbs to 10 s, ASGI rising to about 100 pages/s at a response time of 1 s.

In your project: count your slots, measure how long a page waits for others, and divide. If your
traffic stays below slots / waiting time, threads do as well; if not, more threads may be enough.
"""

from __future__ import annotations

from loadtests.analysis import noise
from loadtests.experiments.judging import Points, expected, highest, how_long, interval_of, rate, serves_more, unseen
from loadtests.experiments.judging import ratio as ratio_of
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import LoadLevel, users
from loadtests.model.units import digits

HELD = (0.8, 1.1)  # WSGI counts as held at its slots within these shares of slots / page time
CLEARLY_MORE = 2.0  # times WSGI's goodput that ASGI has to reach, where users allow it


def judge(points: Points) -> Judgement:
    wsgi, asgi = highest(points)
    load, limit = wsgi.level, expected(wsgi)
    predicted = limit.goodput
    figures = (
        f"at {load.name} {asgi.arm.server} served {digits(asgi.goodput)} pages/s ({how_long(asgi)}) and "
        f"{wsgi.arm.server} {digits(wsgi.goodput)} ({how_long(wsgi)})"
    )
    if noise.no_difference(wsgi.goodputs, asgi.goodputs, wsgi.noise_floor):
        figures += f"; {wsgi.slots or 'no'} slots under WSGI are enough for {load.name}"
        return unseen(f"{figures}. Ask for more ({load.variable}=) to see where they end", "No difference")
    if wsgi.slots is None or limit.bottleneck in {"users", "arrivals"}:
        figures += f"; with {wsgi.slots or 'no'} slots under WSGI and {load.name} nobody has to queue"
        return unseen(f"{figures}, so ask for more ({load.variable}=)", "Not shown")
    ratio = asgi.goodput / wsgi.goodput if wsgi.goodput else 0.0
    asked = max(1 + wsgi.noise_floor, min(CLEARLY_MORE, 0.8 * expected(asgi).goodput / predicted))
    held = HELD[0] <= wsgi.goodput / predicted <= HELD[1]
    if held and ratio >= asked:
        sentence = (
            f"{serves_more(asgi, wsgi)}: {digits(asgi.goodput)} pages/s ({how_long(asgi)}) against "
            f"{digits(wsgi.goodput)} ({how_long(wsgi)}); WSGI is held at its {wsgi.slots} slots ({digits(predicted)} "
            f"pages/s predicted){interval_of(asgi, wsgi)}.{made_of(load, wsgi.slots)}"
        )
        served = [f"{rate(point)}, {how_long(point)}" for point in (asgi, wsgi)]
        key = (*served, f"{ratio_of(asgi, wsgi)}.{made_of(load, wsgi.slots)}")
        return Judgement(confirmed=True, sentence=sentence, key=key)
    why = f"{asked:.1f} times were asked for and {ratio:.1f} seen"
    if not held:
        why = f"WSGI should be held at its {wsgi.slots} slots, {digits(predicted)} pages/s"
    return unseen(f"{figures}; {why}")


def made_of(load: LoadLevel, slots: int) -> str:
    """Return the sentence that says what the ratio depends on: the load and the slots that were chosen."""
    if load.is_open:
        return ""
    if load.think:
        return f" Users think for {load.think:g} s between pages, so only some of them wait at a time."
    return f" Without think time the ratio is users / slots ({digits(load.amount / slots)} here) until CPU limits it."


EXPERIMENT = Experiment(
    seconds=(79, 12),
    arms=(Arm("wsgi", "threadpool"), Arm("asgi", "gather")),
    levels=users(1, 10, 50, 100),
    quick=Quick(levels=users(1, 10, 50)),
    claims=(
        Claim(
            "What async gains is to serve hundreds of connections without a Python thread for each.",
            "Django documentation 3.1, Asynchronous support (2020)",
            "https://docs.djangoproject.com/en/3.1/topics/async",
            confirmed="refuted for Django, which keeps an idle thread for each request; what is gained is slots",
        ),
        Claim(
            "A WSGI server needs a thread or a process for every open request.",
            "Andrew Godwin, DEP 0009: Async-capable Django (2019)",
            "https://github.com/django/deps/blob/master/accepted/0009-async.rst",
        ),
    ),
)
