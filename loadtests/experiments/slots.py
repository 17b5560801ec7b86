"""How many threads does WSGI need to catch up with ASGI, and what do they cost?

Most published wins of async compare ten slots, or one, with none. Here WSGI gets WSGI_THREADS (10), 50, 100 and 200
threads, and 100 slots as four workers of 25 threads: the slot-matched arm that such comparisons lack.

Predict: goodput = users / page time as soon as slots ≥ users. So 100 threads serve 100 users as ASGI does, and 200
threads serve them no better. A thread costs memory: its own, and that of the threads which make its calls.

You will see WSGI reach ASGI at 100 slots, at about twice the memory. Four workers of 25 threads take more of it,
since workers share little, and come close, with a longer tail: each worker takes whatever connections it gets and
keeps them, so that some workers queue pages while others have slots free. Let a worker take no more connections than
it has threads, and keep none of them, and they spread.

In your project: count slots before you change the server. If threads × workers ≥ pages in flight at your peak, you
have nothing to gain; if not, more threads may be all you need, as long as their memory and the database's connections
allow.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, highest, how_long, judged, known, rate
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, size

THREADS = ("wsgi", "wsgi-50", "wsgi-100", "wsgi-200", "wsgi-4x25", "wsgi-4x25-spread")
ARMS = (*(Arm(target, "threadpool") for target in THREADS), Arm("asgi", "gather"))
CAUGHT_UP = 0.9  # of ASGI's goodput
BEHIND = 0.6  # of ASGI's goodput, which ten slots stay below


def judge(points: Points) -> Judgement:
    ten, fifty, hundred, most, piled, spread, asgi = highest(points)
    memory = [known(point.inside.memory, "what memory the threads took") for point in (hundred, piled, asgi)]
    figures = (
        f"at {asgi.level.name} {ten.slots} threads served {digits(ten.goodput)} pages/s, 50 "
        f"{digits(fifty.goodput)}, 100 {digits(hundred.goodput)}, 200 {digits(most.goodput)}, ASGI "
        f"{digits(asgi.goodput)}; 4 × 25 threads served "
        f"{digits(piled.goodput)} ({how_long(piled)}), spread evenly {digits(spread.goodput)} "
        f"({how_long(spread)}); 100 threads took {size(memory[0])}, 4 × 25 {size(memory[1])}, ASGI {size(memory[2])}"
    )
    caught_up = hundred.goodput >= CAUGHT_UP * asgi.goodput and ten.goodput <= BEHIND * asgi.goodput
    return judged(
        caught_up and memory[0] < memory[1],
        "Slots decide, and threads catch up",
        figures,
        key=map(rate, (ten, hundred, asgi)),
    )


EXPERIMENT = Experiment(
    seconds=(67, 16),
    arms=ARMS,
    levels=users(100),
    knobs={"latency": 1.0},
    fresh=True,
    plots=("Goodput", "Response time", "Memory", "Threads", "CPU per page"),
    claims=(
        Claim(
            "With 100 visitors and pages of a second, ten WSGI threads keep the last waiting for ten seconds, and one "
            "ASGI worker answers all of them in about one. (There pages wait for PostgreSQL.)",
            "DjangoTricks, Performance of ASGI Compared to WSGI",
            "http://djangotricks.com/tricks/8bH4nkFdB5iQ",
            confirmed="holds for ten threads; a hundred catch up",
        ),
        Claim(
            "Threads share a worker's memory, so that they cost less than workers.",
            "Gunicorn documentation, Design",
            "https://gunicorn.org/design",
        ),
    ),
    quick=Quick(levels=users(20), knobs={"latency": 0.4}),
)
