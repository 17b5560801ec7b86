"""Seconds of load as a test of the live page wants them."""

from __future__ import annotations

from typing import Any

from loadtests.analysis.histograms import histogram
from loadtests.analysis.machine import Moment
from loadtests.analysis.readings import Reading
from loadtests.live.history import History
from loadtests.live.requested import RequestedLoad
from loadtests.live.second import Load, Second, encoded
from loadtests.live.steady_window import SteadyWindow, Tick
from tests.unit.factories import SETTINGS

IDLE = Moment(0.0, 0.0, None, 0.0, None, 2, None)


def load(pages: int, took: float = 1.0, **failures: int) -> Load:
    """`pages` that took so many seconds each."""
    times = histogram()
    if pages:
        times.record_value(round(took * 1e6), pages)
    return Load(pages, failures, encoded(times) if pages else b"")


def second(pages: int = 10, took: float = 1.0, **changes: Any) -> Second:
    values: dict[str, Any] = {
        "length": 1.0,
        "users": 100,
        "load": load(pages, took),
        "pages_in_flight": 10,
        "calls_in_flight": 100,
        "cpu_seconds": 0.06,
        "memory": 60e6,
    }
    return Second(**values | changes)


def history(seconds: int, limit: int = 1800, pages: int = 10) -> History:
    made = History(limit)
    one = {"wsgi": second(pages, 10.0), "asgi": second(10 * pages)}
    for _ in range(seconds):
        made.append(1.0, one)
    return made


def requested(*targets: str, users: int = 100) -> RequestedLoad:
    return RequestedLoad(users, targets or ("wsgi", "asgi"), "parallel", SETTINGS)


def reading(at: int) -> Reading:
    return Reading(
        {
            "lab_pages_in_flight": 10.0,
            "lab_calls_in_flight": 100.0,
            "lab_cpu_seconds_total": at * 0.06,
            "lab_memory_bytes": 60e6,
        },
        {"lab_call_lateness_seconds": {0.005: at * 10.0, float("inf"): at * 10.0}},
    )


def tick(at: int, **of: Second) -> Tick:
    readings: dict[str, Reading | None] = {name: reading(at) for name in (*of, "api")}
    return Tick(at=float(at), length=1.0, of=of, readings=readings, generator_cpu=0.1, machine=IDLE)


def steady_window(seconds: int, *targets: str, pages: int = 10, took: float = 1.0) -> SteadyWindow:
    made = SteadyWindow()
    made.begin(requested(*targets))
    for at in range(seconds):
        made.add(tick(at, **{name: second(pages, took) for name in targets or ("wsgi", "asgi")}))
    return made
