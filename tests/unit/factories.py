"""Measurements as a test wants them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from loadtests.analysis.capacity import page_time
from loadtests.analysis.histograms import histogram
from loadtests.analysis.machine import Machine
from loadtests.analysis.statistics import Measured
from loadtests.experiments import find
from loadtests.model.experiment import Arm
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import GeneratorFigures, Measurement, Page
from loadtests.model.server_metrics import Inside
from loadtests.model.settings import Settings
from loadtests.model.target import Target
from loadtests.results.summary import Run

SETTINGS = Settings(fan_out=10, latency=1.0, jitter=0.0, fail=0.0)
WSGI, ASGI = Arm("wsgi", "threadpool"), Arm("asgi", "gather")
SERVICE = {"cpus": 1, "memory_bytes": 512 * 1024**2, "environment": {"MAX_CONNECTIONS": "10000", "THREADPOOL": "1000"}}
MANIFEST: dict[str, Any] = {
    "runtime": "process",
    "command": "make loadtest",
    "warnings": [],
    "knobs": {"latency": 1.0},
    "services": {"wsgi": SERVICE, "asgi": SERVICE, "api": SERVICE, "locust": {"cpus": 1.0}},
}


INSIDE = Inside(
    pages_in_flight=10.0,
    calls_in_flight=100.0,
    memory=60_000_000,
    api_lateness_p99=0.005,
    api_throttled_seconds=0.0,
    api_memory=30_000_000,
)


QUIET = Machine(2, lab=1.4, others=0.1, waited=0.5, steal=0.0, pressure=0.3, load_average=1.0)
HOG = Machine(2, lab=1.0, others=0.9, waited=1.4, steal=0.0, pressure=0.8, load_average=3.1)


def target(name: str, slots: int | None) -> Target:
    identity = {"server": f"server of {name}"}
    paths = {"threadpool": "/t/", "gather": "/g/"}
    return Target(
        name, f"http://{name}:8000", name.upper(), slots, paths, 1, {"threadpool": 1000, "gather": 10000}, identity
    )


TARGETS = {"wsgi": target("wsgi", 10), "asgi": target("asgi", None)}


def generator(cpu: float = 0.1, **figures: Any) -> tuple[GeneratorFigures, ...]:
    return (GeneratorFigures(cpu, **figures),)


def measured(
    arm: Arm = WSGI, load: int | LoadLevel = 100, goodput: float = 10.0, took: float = 1.0, **changes: Any
) -> Measured:
    step = LoadLevel(users=load) if isinstance(load, int) else load
    seconds, settings = changes.pop("seconds", 10.0), changes.pop("settings", SETTINGS)
    pages = round(goodput * seconds)
    times = histogram()
    for _ in range(pages):
        times.record_value(round(took * 1e6))
    values: dict[str, Any] = {
        "measurement": Measurement(
            arm, step, settings, changes.pop("repeat", 0), 1.0, seconds, page_time(settings, arm.strategy)
        ),
        "seconds": seconds,
        "pages": pages,
        "failures": Counter(),
        "response_times": times,
        "ended": pages,
        "generators": generator(),
        "inside": replace(INSIDE, cpu_seconds=pages * 0.006),
        "log": [Page(0.0, seconds, None)] * (step.users or 0),  # all of them always have a page
    }
    return Measured(**values | changes)


def run(*done: Measured, planned: int | None = None, **changes: Any) -> Run:
    values: dict[str, Any] = {
        "experiment": find("external-concurrency"),
        "settings": SETTINGS,
        "targets": TARGETS,
        "planned": len(done) if planned is None else planned,
        "measured": done,
        "manifest": MANIFEST,
    }
    return Run(**values | changes)


def good_run(**changes: Any) -> Run:
    return run(
        measured(WSGI, 10, 10.0),
        measured(ASGI, 10, 10.0),
        measured(ASGI, 100, 97.0),
        measured(WSGI, 100, 9.9, took=10.0, seconds=32.0),
        **changes,
    )
