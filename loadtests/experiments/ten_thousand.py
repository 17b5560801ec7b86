"""Can one machine keep ten thousand calls in flight?

A thousand users ask for pages of ten calls that take a second: a thousand pages/s, and ten thousand calls that wait at
the api. ASGI and the api have several workers behind one port each, and no CPU limit but the machine. WSGI has as many
workers as ASGI, with WSGI_THREADS threads each (10).

Predict: under ASGI a call that waits takes a connection and some memory, so CPU alone is the limit: cores / CPU per
page, about eight cores for the server and three for the api and the load. WSGI is held at its slots: eighty pages, and
eight hundred calls. As many slots as users would take a thousand threads that hold a page and ten thousand that make
its calls.

You will see the calls in flight follow the users on a machine with cores enough. On a smaller one ASGI stops where its
CPU is spent, and the run says so. The same ten thousand calls are in flight there at a tenth of the pages/s, with calls
of ten seconds, and under WSGI too if it has the threads: LATENCY=10 USERS=1000 WSGI_THREADS=125 THREADPOOL=1250.

In your project: waiting is cheap, and making pages is not. Multiply pages per second by CPU per page to get the cores,
start a worker for each, and raise what is limited by number: open files, connections of the client, the pool.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, cpu_of, expected, highest, how_long, judged, known
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Point, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

CPU = 0.012  # seconds a page, of all processes: about as measured on two cores
CARRIED = 0.9  # of the pages/s of users whom nothing holds up
CLEARLY_MORE = 2.0  # times WSGI's goodput
NO_LIMIT = "0"  # cores, as Docker says it: the machine's, which are not the same everywhere


def judge(points: Points) -> Judgement:
    wsgi, asgi = highest(points)
    calls, of_wsgi = (known(point.inside.calls_in_flight, "the calls in flight at the api") for point in (asgi, wsgi))
    asked = (
        asgi.level.amount if asgi.level.is_open else asgi.level.amount / (expected(asgi).page_time + asgi.level.think)
    )
    figures = (
        f"at {asgi.level.name} ASGI had {calls:,.0f} calls in flight with {asgi.workers} workers, at "
        f"{digits(asgi.goodput)} pages/s ({how_long(asgi)}); WSGI had {of_wsgi:,.0f} with its {wsgi.slots} slots, at "
        f"{digits(wsgi.goodput)} ({how_long(wsgi)})"
    )
    if asgi.goodput < CARRIED * asked:
        return judged(seen=False, lesson="", figures=f"{figures}; {limit(asgi, asked)}", otherwise="Not carried here")
    # As WSGI_THREADS=125 makes them: for all pages that are under way if nothing holds them up (Little's law).
    enough_slots = (wsgi.slots or 0) >= round(asked * expected(asgi).page_time)
    seen = enough_slots or asgi.goodput >= CLEARLY_MORE * wsgi.goodput
    return judged(seen, f"ASGI keeps {calls:,.0f} calls in flight", figures)


def limit(point: Point, asked: float) -> str:
    """Return what held up the point, which was asked for so many pages/s."""
    cpu = cpu_of(point)
    return (
        f"limited by {expected(point).bottleneck}: its pages took {digits(cpu * point.goodput)} cores at "
        f"{duration(cpu)} each, and {digits(asked)} pages/s would take {digits(cpu * asked)}"
    )


EXPERIMENT = Experiment(
    seconds=(52, 9),
    cores=12,  # eight workers, and the api and the load generators beside them
    arms=(Arm("wsgi", "threadpool", cpu=CPU), Arm("asgi", "gather", cpu=CPU)),
    levels=users(100, 1000),
    knobs={"latency": 1.0},
    proposes={
        "ASGI_WORKERS": "8",
        "WSGI_WORKERS": "8",
        "AGGREGATOR_CPUS": NO_LIMIT,
        "AGGREGATOR_MEMORY": "4g",
        "API_WORKERS": "4",
        "API_CPUS": NO_LIMIT,
        "API_MEMORY": "1g",
        "LOCUST_MEMORY": "1g",
        "CONNECT_TIMEOUT": "30",  # seconds: all connect at once, and where CPU is short that takes its time
    },
    plots=("External concurrency", "Goodput", "Response time", "CPU per page", "Event-loop lag"),
    claims=(
        Claim(
            "The hardware is no longer what keeps a server from ten thousand clients at once.",
            "Dan Kegel, The C10K problem (1999)",
            "http://www.kegel.com/c10k.html",
            otherwise="not seen here: waiting is cheap, but each page takes CPU, and this machine has too few cores",
        ),
    ),
    quick=Quick(levels=users(100)),
)
