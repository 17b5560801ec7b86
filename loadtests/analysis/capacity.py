"""What theory predicts for a page that waits. Pure; the formulas are docs/architecture.md's.

L latency, F fan-out, S slots, N users without think time; seconds and pages/s.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.knobs import Settings


@dataclass(frozen=True, slots=True)
class Prediction:
    """`goodput` in pages/s, `response_time` in seconds, and which term limits: 'users' or 'slots'."""

    goodput: float
    response_time: float
    bottleneck: str


def page_time(settings: Settings, strategy: str) -> float:
    """Seconds that an unhurried page takes: F·L one after the other, L side by side.

    Jitter is uniform on [0, J]: its mean is J/2, the mean of the largest of F draws is J·F/(F+1).
    """
    if strategy == "sequential":
        return settings.fan_out * (settings.latency + settings.jitter / 2)
    return settings.latency + settings.jitter * settings.fan_out / (settings.fan_out + 1)


def predict(settings: Settings, strategy: str, slots: int | None, users: int) -> Prediction:
    """Little's law: pages/s = min(N, S) / R; beyond the knee response time = N / throughput.

    CPU is left out: this is what the concurrency model alone allows.
    """
    unhurried = page_time(settings, strategy)
    working = users if slots is None else min(users, slots)
    goodput = working / unhurried if unhurried else float("inf")
    return Prediction(
        goodput=goodput,
        response_time=users * unhurried / working,
        bottleneck="users" if working == users else "slots",
    )
