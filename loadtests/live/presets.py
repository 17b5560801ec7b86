"""Experiments that make sense before an audience: what is set, and what there is to see. Pure.

A preset is named after the experiment that measures the same properly. A knob that it does not name goes back to its
default, so that one preset can follow another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """`title`: on its button; `see`: what to look at; `knobs`: values by name, `users` and `strategy` among them."""

    experiment: str
    title: str
    see: str
    knobs: Mapping[str, float | str]


PRESETS = (
    Preset(
        "external-concurrency",
        "Many users, slow api",
        "WSGI stops at its slots: 10 pages at once, and everybody else queues. ASGI works on a page for every user.",
        {"users": 100, "strategy": "parallel", "fan_out": 10, "latency": 1.0},
    ),
    Preset(
        "slots",
        "As many users as slots",
        "Nobody queues, and the two tie: threads are enough for as many users as there are threads.",
        {"users": 10, "strategy": "parallel", "fan_out": 10, "latency": 1.0},
    ),
    Preset(
        "fast-api",
        "Fast api",
        "Calls take 10 ms. Waiting no longer decides, CPU does: look at the CPU of both.",
        {"users": 20, "strategy": "parallel", "fan_out": 2, "latency": 0.01},
    ),
    Preset(
        "fan-out",
        "Calls one after the other",
        "Ten calls of 0.2 s in sequence: 2 s for a page that is worked on, under both. ASGI does not make it faster; "
        "under WSGI most users wait for a slot first.",
        {"users": 40, "strategy": "sequential", "fan_out": 10, "latency": 0.2},
    ),
    Preset(
        "cpu-bound",
        "Pages that compute",
        "Each page computes 20 ms before its calls. Both end below the 50 pages/s of one core: look at CPU.",
        {"users": 40, "strategy": "parallel", "fan_out": 2, "latency": 0.05, "work": 0.02},
    ),
    Preset(
        "timeouts",
        "An api that fails",
        "One call in a hundred fails, and with it one page in ten: failures are no goodput, however fast they are.",
        {"users": 50, "strategy": "parallel", "fan_out": 10, "latency": 0.5, "fail": 0.01},
    ),
)
