"""Experiments that make sense before an audience: what is set, and what there is to see. Pure.

A preset is named after the experiment that measures the same properly. A knob that it does not name goes back to its
default, so that one preset can follow another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadtests.live.requested import USERS
from loadtests.live.sentence import Shown
from loadtests.model.summary import StepSummary
from loadtests.model.target import Target

CLOSE = 1.5  # times as much or as long, and no more, is about the same; the window counts pages that end in bursts

USERS_WITHOUT_SLOTS = 10  # where no target has any


@dataclass(frozen=True, slots=True)
class Preset:
    """`title`: on its button; `see`: what to look at, and `shows`: whether the steps of WSGI and ASGI show it; `knobs`:
    values by name, `strategy` among them, and `users` but where there are to be as many as slots.
    """

    experiment: str
    title: str
    see: str
    shows: Callable[[StepSummary, StepSummary], bool]
    knobs: Mapping[str, float | str]

    def values(self, targets: Iterable[Target]) -> dict[str, float | str]:
        """Return the value of each control for these targets."""
        slots = min((target.slots for target in targets if target.slots), default=USERS_WITHOUT_SLOTS)
        return {"users": min(slots, int(USERS.maximum)), **self.knobs}

    def is_true(self, shown: Sequence[Shown]) -> bool:
        """Say of figures that have settled whether they show what there is to see."""
        with_slots = [one.step for one in shown if one.slots]
        without = [one.step for one in shown if not one.slots]
        return bool(with_slots and without) and self.shows(with_slots[0], without[0])


def share_inside(step: StepSummary) -> float:
    """Return the share of users whose pages are worked on."""
    return float(step["inside"]["pages_in_flight"] or 0) / float(step["users"] or 1)


def seconds(step: StepSummary, percentile: str = "p50") -> float:
    return float(step["response_time"][percentile] or 0)


def about(one: float, other: float) -> bool:
    return 0 < one <= CLOSE * other and 0 < other <= CLOSE * one


PRESETS = (
    Preset(
        "external-concurrency",
        "Many users, slow api",
        "WSGI works on as many pages as it has slots, and everybody else queues. ASGI works on a page for every user.",
        lambda wsgi, asgi: share_inside(wsgi) < 1 / CLOSE and share_inside(asgi) > 1 / CLOSE,
        {"users": 100, "strategy": "parallel", "fan_out": 10, "latency": 1.0},
    ),
    Preset(
        "slots",
        "As many users as slots",
        "Nobody queues, and the two tie: threads are enough for as many users as there are threads.",
        lambda wsgi, asgi: (
            about(seconds(wsgi, "p95"), seconds(asgi, "p95")) and about(wsgi["goodput"], asgi["goodput"])
        ),
        {"strategy": "parallel", "fan_out": 10, "latency": 1.0},
    ),
    Preset(
        "api-latency",
        "Fast api",
        "Calls take 10 ms. Waiting no longer decides, CPU does: look at the CPU of both.",
        lambda wsgi, asgi: all(seconds(step) > 0.02 for step in (wsgi, asgi)),
        {"users": 20, "strategy": "parallel", "fan_out": 2, "latency": 0.01},
    ),
    Preset(
        "fan-out",
        "Calls one after the other",
        "Ten calls of 0.2 s in sequence: 2 s for a page that is worked on, under both. ASGI does not make it faster; "
        "under WSGI most users wait for a slot first.",
        lambda wsgi, asgi: share_inside(wsgi) < 0.5 and seconds(asgi) >= 2.0,
        {"users": 40, "strategy": "sequential", "fan_out": 10, "latency": 0.2},
    ),
    Preset(
        "cpu-bound",
        "Pages that compute",
        "Each page computes 20 ms before its calls. Both end below the 50 pages/s of one core: look at CPU.",
        lambda wsgi, asgi: max(wsgi["goodput"], asgi["goodput"]) < 50,
        {"users": 40, "strategy": "parallel", "fan_out": 2, "latency": 0.05, "work": 0.02},
    ),
    Preset(
        "timeouts",
        "An api that fails",
        "One call in a hundred fails, and with it one page in ten: failures are no goodput, however fast they are.",
        lambda wsgi, asgi: bool(wsgi["failures"] and asgi["failures"]),
        {"users": 50, "strategy": "parallel", "fan_out": 10, "latency": 0.5, "fail": 0.01},
    ),
)
