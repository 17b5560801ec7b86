"""How large a difference means nothing on this machine?

Every target is compared with itself (A/A): the same arm twice, in alternating order, three times over. All that
differs is chance and what else the machine was doing.

Predict: no difference. You will see how large "no difference" is here: the noise floor, the largest gap between any
two repeats of the same thing. A shared laptop shows a few percent.

In your project: do this before you compare anything. A gain that is smaller than your floor is not a gain.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.analysis import noise
from loadtests.experiments import Arm, Claim, Experiment, Judgement, Point, Quick, highest
from loadtests.step import users

AGAIN = "again"


def judge(points: Sequence[Point]) -> Judgement:
    points = highest(points)
    floors = {}
    for point in points:
        twins = [twin for twin in points if twin.arm.label == AGAIN and twin.arm.target == point.arm.target]
        if not point.arm.label and twins:
            floors[point.arm.target] = noise.floor(point.goodputs, twins[0].goodputs)
    worst = max(floors.values())
    each = ", ".join(f"{target} {share:.1%}" for target, share in floors.items())
    repeats = len(points[0].goodputs)
    figures = f"the same target differed from itself by up to {worst:.1%} over {repeats} repeats ({each})"
    quiet = worst <= noise.FLOOR
    sentence = (
        f"No difference: {figures}, below the floor of {noise.FLOOR:.0%}."
        if quiet
        else f"Noisy: {figures}; on this machine, now, smaller differences mean nothing."
    )
    return Judgement(confirmed=quiet, sentence=sentence, noise_floor=worst)


EXPERIMENT = Experiment(
    name="noise",
    arms=(
        Arm("wsgi", "threadpool"),
        Arm("wsgi", "threadpool", AGAIN),
        Arm("asgi", "gather"),
        Arm("asgi", "gather", AGAIN),
    ),
    steps=users(10),
    judge=judge,
    claims=(
        Claim(
            "An unstable benchmark leads to wrong decisions: the same code differs from itself by more than a change.",
            "Victor Stinner, How to run a stable benchmark (2017)",
            "https://speakerdeck.com/haypo/how-to-run-a-stable-benchmark",
            confirmed="depends on the machine: quiet here",
        ),
    ),
    repeats=3,
    quick=Quick(repeats=2),
)
