"""What does middleware cost under ASGI, and what under WSGI?

A middleware that is written for sync only makes Django switch to a thread and back for every request under ASGI; all
of Django's own do. Four sets are compared on both servers: none, one that is written for both, one that is sync only,
and what `startproject` installs. The page makes a single fast call, so that the middleware is most of what it costs.

Predict: under WSGI middleware costs next to nothing. Under ASGI one that is written for both costs next to nothing,
and every change from async to sync costs a thread switch: some tenths of a millisecond for one, a millisecond for
startproject's.

You will see CPU milliseconds per page. It is a tax, not a wall: beside a page that waits half a second it is hard to
see.

In your project: before you blame async, list your middleware and look which of them are sync only. Adjacent ones
that are sync only share a switch; Django's own do not: each of their hooks is one, thirteen for startproject's seven.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, cpu_of, highest, judged
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement
from loadtests.model.load_level import users
from loadtests.model.units import duration

SETS = ("bare", "", "sync-only", "django")  # of compose.yaml's targets
SERVERS = (("wsgi", "threadpool"), ("asgi", "gather"))
ARMS = tuple(Arm("-".join(filter(None, (server, name))), strategy) for server, strategy in SERVERS for name in SETS)
SHOWS = 0.0003  # CPU seconds that the default middleware adds at the least
MORE = 2.0  # times what the same middleware adds under WSGI


def judge(points: Points) -> Judgement:
    bare_wsgi, _, _, django_wsgi, bare, both, sync_only, django = map(cpu_of, highest(points))
    added, added_wsgi = django - bare, django_wsgi - bare_wsgi
    figures = (
        f"Django's default middleware adds {more(added)} of CPU to a page under ASGI and "
        f"{more(added_wsgi)} under WSGI, one that is sync only {more(sync_only - bare)} under ASGI; "
        f"there a page takes {duration(bare)} with none, {duration(both)} with one written for both, "
        f"{duration(sync_only)} with one that is sync only, {duration(django)} with Django's"
    )
    seen = added >= SHOWS and added >= MORE * max(0.0, added_wsgi) and bare < sync_only < django
    key = [
        f"ASGI with {name}: {duration(cpu)} of CPU a page"
        for name, cpu in (("none", bare), ("one that is sync only", sync_only), ("Django's", django))
    ]
    return judged(seen, "Sync middleware is dearer under ASGI", figures, key=key)


def more(seconds: float) -> str:
    return f"{'+' if seconds >= 0 else ''}{duration(seconds)}"


EXPERIMENT = Experiment(
    seconds=(41, 12),
    arms=ARMS,
    levels=users(10),
    knobs={"latency": 0.05, "fan_out": 1},
    fresh=True,
    plots=("CPU per page", "Response time", "Goodput", "Threads"),
    claims=(
        Claim(
            "A sync middleware in an async stack costs about a millisecond and holds a thread, which can use up what "
            "async gained.",
            "Django documentation 3.1, quoted in django-cors-headers issue 560 (2020)",
            "https://github.com/adamchainz/django-cors-headers/issues/560",
            confirmed="depends on how many: some tenths of it for one, a millisecond for startproject's seven",
        ),
    ),
)
