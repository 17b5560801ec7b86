"""Do async class-based views cost more than functions?

The same page as a function view and as an async class-based view, by GET and by POST, under ASGI; and the class-based
one under WSGI, where it runs like any async view.

Predict: the same result at the same cost. What a class adds is lost in the cost of ten calls.

You will see bars of equal length.

In your project: choose by taste. All handlers of one class must be async, or all sync.
"""

from __future__ import annotations

from statistics import fmean

from loadtests.experiments.judging import Points, highest, judged
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement, Quick
from loadtests.model.load_level import users
from loadtests.model.units import digits, duration

WAYS = (("gather", "function", "GET"), ("gather_class", "class, GET", "GET"), ("gather_class", "class, POST", "POST"))
ASGI = tuple(Arm("asgi", strategy, label, method=method) for strategy, label, method in WAYS)
ALIKE = 1.5  # times the function's CPU per page; a quick window has some fifty pages to tell by
SAME = 0.85  # of the function's goodput


def judge(points: Points) -> Judgement:
    function, get, post, _ = highest(points)
    cpus = [point.cpu_per_page or 0.0 for point in (function, get, post)]
    figures = (
        f"at {function.level.name} the function served {digits(function.goodput)} pages/s, the class "
        f"{digits(get.goodput)} by GET and {digits(post.goodput)} by POST, at {duration(cpus[0])}, {duration(cpus[1])} "
        f"and {duration(cpus[2])} of CPU a page"
    )
    same = min(get.goodput, post.goodput) >= SAME * function.goodput
    seen = same and cpus[0] and fmean(cpus[1:]) <= ALIKE * cpus[0]
    return judged(seen, "No difference", figures)


EXPERIMENT = Experiment(
    seconds=(23, 7),
    arms=(*ASGI, Arm("wsgi", "gather_class", "class, GET")),
    levels=users(10),
    knobs={"latency": 0.3},
    plots=("Goodput", "CPU per page", "Response time"),
    claims=(
        Claim(
            "Class-based views may have async handlers.",
            "Django 4.1 release notes (2022)",
            "https://docs.djangoproject.com/en/4.2/releases/4.1",
        ),
    ),
    quick=Quick(knobs={"latency": 0.2}),
)
