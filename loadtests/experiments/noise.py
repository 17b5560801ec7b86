"""How large a difference means nothing on this machine?

Every target is compared with itself (A/A): the same arm twice, in alternating order, three times over. All that
differs is chance and what else the machine was doing. Calls are so short that a core computes without a pause: pages
that wait would hide a busy machine.

Predict: no difference. You will see how large "no difference" is here: the noise floor, the largest gap between any
two repeats of the same thing. A shared laptop shows some percent.

In your project: do this before you compare anything. A gain that is smaller than your floor is not a gain.
"""

from __future__ import annotations

from dataclasses import replace

from loadtests.analysis import noise
from loadtests.experiments.judging import Points, highest, judged
from loadtests.model.experiment import Arm, Claim, Experiment, Judgement
from loadtests.model.load_level import users

MEANS_NOTHING = "; on this machine, now, smaller differences mean nothing"


def judge(points: Points) -> Judgement:
    points = highest(points)
    pairs = list(zip(points[::2], points[1::2], strict=True))
    floors = {one.arm.target: noise.floor(one.goodputs, twin.goodputs) for one, twin in pairs}
    cpu = max(noise.relative(one.cpu_per_page or 0.0, twin.cpu_per_page or 0.0) for one, twin in pairs)
    worst = max(floors.values())
    each = ", ".join(f"{name} {share:.1%}" for name, share in floors.items())
    repeats = len(points[0].goodputs)
    words = "repeat" if repeats == 1 else "repeats"
    figures = (
        f"two measurements of the same target differ by {worst:.1%} at the most, 19 times of 20 ({each}; from "
        f"{repeats} {words} of each), and in CPU a page by up to {cpu:.1%}"
    )
    quiet = worst <= noise.FLOOR
    figures += f", below the floor of {noise.FLOOR:.0%}" if quiet else MEANS_NOTHING
    return replace(judged(quiet, "No difference", figures, "Noisy"), noise_floor=worst)


EXPERIMENT = Experiment(
    seconds=(61, 6),
    arms=tuple(Arm(*one, label) for one in (("wsgi", "threadpool"), ("asgi", "gather")) for label in ("", "again")),
    levels=users(20),
    knobs={"latency": 0.02},
    claims=(
        Claim(
            "An unstable benchmark leads to wrong decisions: the same code differs from itself by more than a change.",
            "Victor Stinner, How to run a stable benchmark (2017)",
            "https://speakerdeck.com/haypo/how-to-run-a-stable-benchmark",
            confirmed="depends on the machine: quiet here",
            otherwise="holds, where a core is saturated",
        ),
    ),
    repeats=3,
)
