"""What does a load test hide when its users wait?

Most load tests are closed loops: a user asks for the next page when it has the last one. A server that cannot keep
up slows its own users down, so they ask for less, and the queue never grows beyond the users. Real visitors do not
know of each other: they arrive, whether or not the server keeps up (an open loop). Here the same targets get both:
users who wait, and pages that arrive at equal intervals. Response time counts from when a page was due.

Predict: with slots S and page time R a target serves S/R pages/s. Below, both loops show R. Above, users see
users / goodput and no more; arrivals see a queue that grows by (arrivals / goodput − 1) seconds every second, for
as long as they go on.

You will see WSGI serve slots / R either way, 10 pages/s with 10 slots. Twice as many users as slots wait 2 s; twice as
many arrivals as it can serve wait longer with every second. ASGI has room and shows 1 s in both.

In your project: ask for a rate when you ask whether you survive a rush, and for users when you ask how it feels
behind a login. A closed loop at its limit is not a rush. With more arrivals than slots / R no queue is long enough:
refuse early, or add slots.
"""

from __future__ import annotations

from loadtests.experiments.judging import Points, expected, how_long, judged, unseen
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import rates, users
from loadtests.model.units import digits, duration

HIDDEN = 1.5  # times the closed loop's response time at the least, at about the same offered load
KEEPS_UP = 0.8  # of the arrivals that a target with room has to serve


def judge(points: Points) -> Judgement:
    closed = [point for point in points if not point.level.is_open]
    arriving = [point for point in points if point.level.is_open]
    full = [point for point in arriving if expected(point).bottleneck != "arrivals"]
    if not closed or not full:
        figures = "it takes users (USERS=) and more arrivals (RATE=) than one of the targets can serve"
        return unseen(figures, "Not shown")
    over = min(full, key=lambda point: point.level.amount)
    unhurried = expected(over).page_time
    same_arm = [point for point in closed if point.arm == over.arm]
    twin = min(same_arm, key=lambda point: abs(point.level.amount / unhurried - over.level.amount))
    others = [point for point in arriving if point.level == over.level and expected(point).bottleneck == "arrivals"]
    ratio = over.p50 / twin.p50
    keep_up = all(point.goodput * point.seconds >= KEEPS_UP * (point.pages + point.failures) for point in others)
    served = "; ".join(
        f"{other.arm.server} served {digits(other.goodput)} of them ({how_long(other)})" for other in others
    )
    figures = (
        f"{over.arm.server} serves {digits(over.goodput)} pages/s when {over.level.name} arrive and "
        f"{digits(twin.goodput)} with {twin.level.name}, but the median is {duration(over.p50)} and still growing, "
        f"against {duration(twin.p50)}{f'; {served}' if served else ''}"
    )
    return judged(ratio >= HIDDEN and keep_up, f"Users who wait hide a queue {ratio:.1f} times as long", figures)


EXPERIMENT = Experiment(
    seconds=(63, 10),
    arms=(Arm("wsgi", "threadpool"), Arm("asgi", "gather")),
    levels=(*users(5, 20), *rates(5, 20)),
    claims=(
        Claim(
            "Load generators with an open and a closed loop show very different systems, and few say which they are.",
            "Schroeder, Wierman and Harchol-Balter, Open Versus Closed (2006)",
            "https://www.usenix.org/legacy/event/nsdi06/tech/schroeder.html",
        ),
    ),
    quick=Quick(levels=(*users(20), *rates(60)), knobs={"latency": 0.3}),
)
