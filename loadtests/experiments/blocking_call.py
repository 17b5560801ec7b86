"""What does one blocking call in an async view do to everybody else?

An async view that calls something blocking (here `time.sleep(0.1)`; in real projects a driver, a file, a template of
computation) stops the event loop, and with it every page of the process: those that only wait for their calls too.

Predict: a page that blocks for 0.1 s lets one process serve 1 / 0.1 = 10 pages/s, however many users there are. Under
WSGI the same view blocks nothing but its own slot.

You will see ASGI held at 10 pages/s when every page blocks, its loop late by the length of the queue (which is what
a page that blocks nothing would wait for its turn), and WSGI with its threads ahead: a case where threads win.

In your project: watch the loop's lag in production; one number says whether somebody blocks it. Move what blocks into
a thread (`asyncio.to_thread`, `sync_to_async`) or keep such views under WSGI.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, highest, judged
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

BLOCKS = 0.1  # seconds, as services/aggregator/pitfalls.py has it
ARMS = (Arm("asgi", "gather"), *(Arm(server, "blocking_call", holds=BLOCKS) for server in ("asgi", "wsgi")))
HELD = 1.15  # times 1 / BLOCKS of each worker, which they must not pass
CLEARLY_MORE = 2.0
THREADS_WIN = 1.2
LATE = 0.05  # seconds of lag that everybody feels


def judge(points: Points) -> Judgement:
    clean, blocking, threads = highest(points)
    lag = blocking.inside.loop_lag_p99 or 0.0
    figures = (
        f"at {clean.level.name} ASGI served {digits(clean.goodput)} pages/s, and {digits(blocking.goodput)} when each "
        f"page blocks its event loop for {BLOCKS:g} s (loop lag p99 up to {duration(lag)}); WSGI served "
        f"{digits(threads.goodput)} of the same blocking pages with {threads.slots} threads"
    )
    held = blocking.goodput <= HELD * blocking.workers / BLOCKS and clean.goodput >= CLEARLY_MORE * blocking.goodput
    seen = held and lag >= LATE and threads.goodput >= max(THREADS_WIN, 1 + threads.noise_floor) * blocking.goodput
    return judged(seen, "A blocking call stops the whole event loop", figures)


EXPERIMENT = Experiment(
    seconds=(41, 7),
    arms=ARMS,
    levels=users(1, 30),
    knobs={"latency": 0.5},
    plots=("Goodput", "Event-loop lag", "Response time", "External concurrency"),
    claims=(
        Claim(
            "A function that blocks for a second delays every other task of its event loop by a second.",
            "Victor Stinner, Develop with asyncio (2014)",
            "https://www.python.org/pipermail/python-checkins/2014-January/127475.html",
        ),
    ),
    quick=Quick(levels=users(10), knobs={"latency": 0.2}),
)
