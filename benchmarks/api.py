"""The ladder of api_capacity.py, climbed and judged."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich.table import Table

from benchmarks import api_capacity as capacity
from benchmarks import lab
from benchmarks.api_capacity import Step
from benchmarks.lab import PinnedRuntime
from benchmarks.result import Goal, Result, figures_table


def api() -> Result:
    """Measure whether the slow upstream carries 5,000 calls/s with 5,000 in flight, and answers in time."""
    capacity.allow_connections()
    runtime = PinnedRuntime(["api"])
    with lab.running(runtime):
        runtime.prepare()
        runtime.up(["api"])
        url, said = runtime.published()["api"], runtime.metrics["api"]
        steps = [lab.run(capacity.climb(url, said, in_flight)) for in_flight in capacity.LADDER]
        described = runtime.describe()["api"]
    goal = next(step for step in steps if step.asked == capacity.GOAL)
    return Result(
        title=f"What the slow api carries, {len(capacity.LADDER)} steps",
        goals=goals(goal),
        table=ladder(steps),
        notes=["late: ms beyond the latency, p50 / p99 / max; by the api itself at the most"],
        figures={
            "goal": {
                "calls_in_flight": capacity.GOAL,
                "latency": capacity.LATENCY,
                "lateness_p99": capacity.LATEST,
                "client_cpu": capacity.CLIENT_LIMIT,
            },
            "api": described,
            "steps": [finite(asdict(step)) | {"valid": step.valid} for step in steps],
        },
        invalid=None
        if goal.valid
        else (
            f"the client used {goal.client_cpu:.0%} of a core, more than {capacity.CLIENT_LIMIT:.0%}: "
            "it was too slow itself to say how fast the api is"
        ),
    )


def goals(step: Step) -> list[Goal]:
    late, limit, wanted = step.api_late["p99"], capacity.LATEST, capacity.GOAL
    seen = step.client_late["p99"]
    return [
        Goal(f"calls/s at {wanted:,} in flight", f"≥ {wanted:,}", f"{step.rate:,.0f}", step.rate >= wanted),
        Goal("calls in flight", f"≥ {wanted:,}", f"{step.in_flight:,}", step.in_flight >= wanted),
        Goal("p99 beyond the latency", f"≤ {limit * 1e3:.0f} ms", f"{at_most(late)} ms", late <= limit),
        Goal("the same at the client", f"≤ {limit * 1e3:.0f} ms", f"{seen * 1e3:.0f} ms", seen <= limit),
        Goal("calls that failed", "0", str(step.failures), step.failures == 0),
    ]


def ladder(steps: list[Step]) -> Table:
    grid = figures_table("in flight", "calls/s", "failed", "late: api", "client", "CPU: api", "client")
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
    """Return a bound of the histogram in milliseconds, as text."""
    return "more" if math.isinf(seconds) else f"{seconds * 1e3:.0f}"


def finite(step: dict[str, Any]) -> dict[str, Any]:
    """Return the value, or None for infinity, which JSON lacks: it is beyond the api's histogram."""
    late = {name: None if math.isinf(seconds) else seconds for name, seconds in step["api_late"].items()}
    return step | {"api_late": late}
