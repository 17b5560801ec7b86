"""How slow does an api have to be before ASGI pays?

Twenty users, an api that answers in 1, 5, 20 or 100 ms, and pages of one call or ten. With a fast api pages hardly
wait: CPU per page decides. With a slow one they wait: slots decide.

Predict: slots serve slots / page time. As long as that is more than one core can compute, slots are no limit, and
CPU per page decides: ASGI has nothing to gain. Where slots / page time falls below it, the lines part and ASGI wins.

You will see the lines part between 5 and 20 ms for one call. Left of it threads are a little ahead, or the two tie:
Django's thread switches are what ASGI pays. With ten calls a page the event loop is ahead from the start, and
much of that is the client: sync calls are made by httpx's own pool and a thread each, async ones by httpx over
aiohttp's, which takes less than half of the CPU (`http-client`). A single call is made in the page's own thread.

In your project: measure how long a page waits for others. If that is a few milliseconds (a cache, a database next
door), ASGI has nothing to give but its own cost.
"""

from __future__ import annotations

from loadtests.analysis import noise
from loadtests.experiments.judging import Points, how_long, judged, of, ratio
from loadtests.model.experiment import Arm, CannotJudge, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import turned
from loadtests.model.units import duration

ONE, TEN = (
    (Arm("wsgi", strategy, label, {"fan_out": calls}), Arm("asgi", "gather", label, {"fan_out": calls}))
    for calls, label, strategy in ((1, "one call", "sequential"), (10, "ten calls", "threadpool"))
)
USERS = 20
WINS = 1.3  # times WSGI's goodput that ASGI has where it is slow


def judge(points: Points) -> Judgement:
    ahead = {name: leads(points, pair) for name, pair in (("one call", ONE), ("ten calls", TEN))}
    sentence = "; ".join(f"with {name} a page {described(lead)}" for name, lead in ahead.items())
    quick_wsgi, quick_asgi = (of(points, arm)[0] for arm in ONE)
    sentence += (
        f"; one fast call took {how_long(quick_wsgi)} under WSGI and {how_long(quick_asgi)} under ASGI; a "
        f"difference below {quick_wsgi.noise_floor:.0%} is none here"
    )
    (_, fast), *_, (_, slow) = ahead["one call"]
    if 1 + noise.FLOOR < fast <= 1 + quick_wsgi.noise_floor:
        raise CannotJudge(f"the gain at the fastest api is within this machine's noise, which is too large: {sentence}")
    key = [
        f"{calls}, api {duration(of(points, arms[1])[which].level.knobs['latency'])}: "
        f"{ratio(of(points, arms[1])[which], of(points, arms[0])[which])}"
        for calls, arms, which in (("one call", ONE, 0), ("one call", ONE, -1), ("ten calls", TEN, -1))
    ]
    gains_nothing = fast <= 1 + noise.FLOOR and slow >= WINS
    return judged(gains_nothing, "ASGI gains nothing while the api is fast", sentence, key=key)


def leads(points: Points, pair: tuple[Arm, Arm]) -> list[tuple[float, float]]:
    """Return the latency of each step (seconds), and how many times WSGI's goodput ASGI had there."""
    wsgi, asgi = (of(points, arm) for arm in pair)
    return [
        (a.level.knobs["latency"], b.goodput / a.goodput if a.goodput else 0.0) for a, b in zip(wsgi, asgi, strict=True)
    ]


def described(lead: list[tuple[float, float]]) -> str:
    return "ASGI served " + ", ".join(f"{ratio:.2f} times as many at {latency * 1000:g} ms" for latency, ratio in lead)


EXPERIMENT = Experiment(
    seconds=(81, 12),
    arms=(*ONE, *TEN),
    levels=turned(USERS, "latency", 0.001, 0.005, 0.02, 0.1),
    plots=("Goodput", "CPU per page", "Response time"),
    claims=(
        Claim(
            "Async frameworks have slightly lower throughput and a much worse spread of latency.",
            "Cal Paterson, Async Python is not faster (2020)",
            "http://calpaterson.com/async-python-is-not-faster.html",
            confirmed="depends on the page: at most for one fast call, not for slow ones or ten",
        ),
    ),
    quick=Quick(levels=turned(USERS, "latency", 0.001, 0.1)),
)
