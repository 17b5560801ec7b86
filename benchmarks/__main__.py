"""The command line: `make bench`. Exit status 0 met, 1 not met, 2 not valid, 3 not up."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from types import FrameType
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import api_capacity as capacity
from benchmarks.api_capacity import Step
from loadtests import launch, manifest
from loadtests.errors import ExitCode, Interrupted, LabError
from loadtests.runtime import ROOT
from loadtests.runtime.processes import ProcessRuntime

PACKAGES = ("uvicorn", "uvloop", "httptools", "prometheus-client", "hdrhistogram")
VERDICTS = {ExitCode.CONFIRMED: "met", ExitCode.NOT_CONFIRMED: "not met", ExitCode.INVALID: "not valid"}


def main() -> int:
    argparse.ArgumentParser(prog="python -m benchmarks", description=capacity.__doc__).parse_args()
    try:
        return bench()
    except LabError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        if error.details:
            print(error.details, file=sys.stderr)
        return ExitCode.NOT_UP
    except (Interrupted, KeyboardInterrupt):
        return ExitCode.INTERRUPTED


def bench() -> ExitCode:
    """Start the api, climb the ladder, stop the api, judge. Raises LabError."""
    capacity.allow_connections()
    # A process pinned to a core, and not a container: a published port is a proxy, which would be measured too.
    runtime = ProcessRuntime(launch.RESULTS / "bench-logs")
    with launch.signals_as_interrupts():
        try:
            runtime.prepare()
            with on_another_core() as isolation:
                runtime.up(["api"])
            description, url = runtime.describe()["api"], runtime.published()["api"]
            print(f"The api runs as a local process ({isolation}); {len(capacity.LADDER)} steps, 40 s …", flush=True)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                steps = runner.run(climb(url, runtime.witnesses["api"]))
        except asyncio.CancelledError:
            raise Interrupted from None
        finally:
            with launch.signals_ignored():
                runtime.down()
    goal = next(step for step in steps if step.asked == capacity.GOAL)
    code = judge(goal)
    show(goal, steps, code)
    write({"isolation": isolation, "api": description}, steps, code)
    return code


async def climb(url: str, witness_url: str) -> list[Step]:
    """All steps. A signal cancels them: an exception out of nowhere would end in one connection's callback."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if task:
            loop.call_soon_threadsafe(task.cancel)

    with launch.handled(interrupt):
        return [await capacity.climb(url, witness_url, in_flight) for in_flight in capacity.LADDER]


@contextmanager
def on_another_core() -> Iterator[str]:
    """What is started inside has one core for itself, and this process the others; yields that in words.

    A process inherits where it may run, so the server is pinned before it has a thread that is not.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield "not pinned to a core"
        return
    cores = os.sched_getaffinity(0)
    own = max(cores)
    os.sched_setaffinity(0, {own})
    try:
        yield f"pinned to core {own}"
    finally:
        os.sched_setaffinity(0, cores - {own} or cores)


def judge(goal: Step) -> ExitCode:
    if not goal.valid:
        return ExitCode.INVALID
    return ExitCode.CONFIRMED if all(met for _, _, _, met in criteria(goal)) else ExitCode.NOT_CONFIRMED


def criteria(goal: Step) -> list[tuple[str, str, str, bool]]:
    """What is asked, the goal, what was measured, and whether that is enough."""
    late, limit = goal.api_late["p99"], capacity.LATEST
    return [
        ("calls/s", f"≥ {capacity.GOAL:,}", f"{goal.rate:,.0f}", goal.rate >= capacity.GOAL),
        ("calls in flight", f"≥ {capacity.GOAL:,}", f"{goal.in_flight:,}", goal.in_flight >= capacity.GOAL),
        ("p99 beyond the latency", f"≤ {limit * 1e3:.0f} ms", f"{at_most(late)} ms", late <= limit),
        ("calls that failed", "0", str(goal.failures), goal.failures == 0),
    ]


def show(goal: Step, steps: list[Step], code: ExitCode) -> None:
    console = Console()
    console.print(ladder(steps))
    console.print("late: ms beyond the latency, p50 / p99 / max; by the api itself at the most")
    verdict = Table(box=None, pad_edge=False, header_style="dim")
    for heading in (f"at {capacity.GOAL:,} in flight", "goal", "measured", ""):
        verdict.add_column(heading)
    for name, wanted, measured, met in criteria(goal):
        verdict.add_row(name, wanted, measured, "met" if met else "not met")
    console.print()
    console.print(verdict)
    console.print(f"\n[bold]{VERDICTS[code].upper()}[/bold]")
    if code == ExitCode.INVALID:
        console.print(
            f"The client used {goal.client_cpu:.0%} of a core, more than {capacity.CLIENT_LIMIT:.0%}: "
            "it was too slow itself to say how fast the api is."
        )


def ladder(steps: list[Step]) -> Table:
    """Fits into 80 columns."""
    grid = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim")
    for heading in ("in flight", "calls/s", "failed", "late: api", "client", "CPU: api", "client"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for step in steps:
        grid.add_row(
            f"{step.in_flight:,}",
            f"{step.rate:,.0f}",
            str(step.failures),
            " / ".join(at_most(step.api_late[name]) for name in ("p50", "p99", "max")),
            " / ".join(f"{step.client_late[name] * 1e3:.0f}" for name in ("p50", "p99", "max")),
            f"{step.api_cpu:.0%}",
            f"{step.client_cpu:.0%}{'' if step.valid else ' !'}",
        )
    return grid


def at_most(seconds: float) -> str:
    """In milliseconds."""
    return "more" if math.isinf(seconds) else f"{seconds * 1e3:.0f}"


def write(served: Mapping[str, Any], steps: list[Step], code: ExitCode) -> None:
    """The same figures, for programs. Times are in seconds; null is beyond the api's histogram."""
    content = {
        "verdict": VERDICTS[code],
        "goal": {
            "calls_in_flight": capacity.GOAL,
            "latency": capacity.LATENCY,
            "lateness_p99": capacity.LATEST,
            "client_cpu": capacity.CLIENT_LIMIT,
        },
        **served,
        "steps": [finite(asdict(step)) | {"valid": step.valid} for step in steps],
        "machine": manifest.machine(),
        "commit": manifest.commit(ROOT),
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }
    path = launch.RESULTS / "bench-api.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    print(f"Figures: {os.path.relpath(path)}")


def finite(step: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no infinity."""
    late = {name: None if math.isinf(seconds) else seconds for name, seconds in step["api_late"].items()}
    return step | {"api_late": late}


if __name__ == "__main__":
    sys.exit(main())
