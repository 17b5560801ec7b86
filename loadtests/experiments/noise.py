"""How large a difference means nothing on this machine?

Every target is compared with itself (A/A): the same arm twice, in alternating order, three times over; once where
calls are so short that a core computes without a pause, and once where pages wait. All that differs is chance and
what else the machine was doing.

Predict: no difference. You will see how large "no difference" is here: the noise floor, the largest gap between any
two repeats of the same thing. Pages that wait hide a busy machine; a saturated core shows it. A shared laptop shows
some percent.

In your project: do this before you compare anything. A gain that is smaller than your floor is not a gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loadtests.analysis import noise
from loadtests.experiments import Arm, Claim, Experiment, Judgement, Point, Quick
from loadtests.step import turned

AGAIN = "again"


def judge(points: Sequence[Point]) -> Judgement:
    floors, cpu = {}, []
    for point in points:
        for twin in points:
            if not point.arm.label and twin.arm == replace(point.arm, label=AGAIN) and twin.step == point.step:
                floors[f"{point.arm.target} at {point.step.name}"] = noise.floor(point.goodputs, twin.goodputs)
                cpu.append(noise.relative(point.cpu_per_page or 0.0, twin.cpu_per_page or 0.0))
    worst = max(floors.values())
    each = "; ".join(f"{name} {share:.1%}" for name, share in floors.items())
    repeats = len(points[0].goodputs)
    figures = (
        f"the same target differed from itself by up to {worst:.1%} over {repeats} repeats ({each}), and in CPU "
        f"a page by up to {max(cpu):.1%}"
    )
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
    steps=turned(10, "latency", 0.02, 1.0),
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
    quick=Quick(steps=turned(10, "latency", 0.02, 0.2), knobs={}, repeats=2),
)
