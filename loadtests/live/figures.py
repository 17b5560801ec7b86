"""The live page's figures: the report's plots, over time. Whole, or only what is new of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.live.history import Sample
from loadtests.live.sentence import digits
from loadtests.model.summary import Plotted, StepSummary
from loadtests.model.target import Target
from loadtests.report.plots import PLOTS, TIME, colour

Pause = Callable[[], None]

# The plots in their order, and how to read each as it moves.
READING = {
    "Goodput": "Whole pages per second, over the last five seconds. Dots: predicted.",
    "Response time": "Seconds that a user waits. Thick: p50; thin: p95, p99; dots: predicted.",
    "External concurrency": "Logarithmic. Thick: pages worked on inside. Thin: their calls at the api.",
    "Users": "Of each target.",
    "Failures": "Answers per second, not a whole page.",
    "CPU": "Cores that each server computes on.",
    "Event-loop lag": "Milliseconds, p99: every page waits as long. WSGI has no loop.",
    "Memory": "Megabytes that each server takes.",
}
HEADINGS = (
    "users",
    "pages/s",
    "p50 s",
    "p95 s",
    "pages inside",
    "calls at the api",
    "failures/s",
    "CPU cores",
    "MB",
    "loop lag ms",
)


@dataclass(frozen=True, slots=True)
class Arm:
    """A target with the strategy that its pages use now."""

    target: Target
    strategy: str


def summary(arms: Sequence[Arm], samples: Sequence[Sample]) -> Plotted:
    """Return as much of a summary.json as a plot looks at."""
    return {
        "arms": [
            {
                "target": arm.target.name,
                "strategy": arm.strategy,
                "interface": arm.target.interface,
                "label": "",
                "slots": arm.target.slots,
                "steps": [sample.steps[arm.target.name] for sample in samples if arm.target.name in sample.steps],
            }
            for arm in arms
        ]
    }


def drawn(arms: Sequence[Arm], samples: Sequence[Sample], pause: Pause) -> Iterator[tuple[str, Any]]:
    """Yield each figure with its title; after each of them `pause` lets the load go on."""
    shown = summary(arms, samples)
    for title in READING:
        yield title, PLOTS[title].draw(shown, TIME)
        pause()


def whole(arms: Sequence[Arm], samples: Sequence[Sample], pause: Pause) -> dict[str, Any]:
    """Return each figure as Plotly's JSON."""
    return {title: json.loads(figure.to_json()) for title, figure in drawn(arms, samples, pause)}


def points(arms: Sequence[Arm], samples: Sequence[Sample], pause: Pause) -> dict[str, list[list[Any]]]:
    """Return what each trace of each figure is to be extended by: its x and its y."""
    figures = drawn(arms, samples, pause)
    return {title: [[list(trace.x), list(trace.y)] for trace in figure.data] for title, figure in figures}


def row(sample: Sample, targets: Iterable[str]) -> list[str]:
    """Return the sample as the table behind the plots shows it."""
    cells = [f"{sample.second:.0f}"]
    for name in targets:
        cells += cells_of(sample.steps[name]) if name in sample.steps else ["–"] * len(HEADINGS)
    return cells


def cells_of(step: StepSummary) -> list[str]:
    inside, seconds = step["inside"], step["seconds"]
    cpu = None if inside["cpu_seconds"] is None else inside["cpu_seconds"] / seconds
    memory = None if inside["memory"] is None else inside["memory"] / 1e6
    lag = None if inside["loop_lag_p99"] is None else inside["loop_lag_p99"] * 1000
    values = (
        step["users"],
        step["goodput"],
        step["response_time"]["p50"],
        step["response_time"]["p95"],
        inside["pages_in_flight"],
        inside["calls_in_flight"],
        step["failures"] / seconds,
        cpu,
        memory,
        lag,
    )
    return ["–" if value is None else digits(value) for value in values]


def colours(targets: Iterable[Target]) -> dict[str, str]:
    """Return each target's colour, as the plots choose it."""
    return {target.name: colour(target.interface) for target in targets}
