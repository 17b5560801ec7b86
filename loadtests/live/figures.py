"""The live page's figures: the report's plots, over time. Whole, or only what is new of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from loadtests.live.history import Sample
from loadtests.live.sentence import digits
from loadtests.model.knobs import strategy_for
from loadtests.model.summary import Plotted, StepSummary
from loadtests.model.target import Target
from loadtests.report.plots import PLOTS, TIME, colour

Pause = Callable[[], None]  # lets users go on asking between two figures

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
# The table behind the plots: the headings, and what stands below each.
HEADINGS: Mapping[str, Callable[[StepSummary], float | None]] = {
    "users": lambda step: step["users"],
    "pages/s": lambda step: step["goodput"],
    "p50 s": lambda step: step["response_time"]["p50"],
    "p95 s": lambda step: step["response_time"]["p95"],
    "pages inside": lambda step: step["inside"]["pages_in_flight"],
    "calls at the api": lambda step: step["inside"]["calls_in_flight"],
    "failures/s": lambda step: step["failures"] / step["seconds"],
    "CPU cores": lambda step: times(step["inside"]["cpu_seconds"], 1 / step["seconds"]),
    "MB": lambda step: times(step["inside"]["memory"], 1e-6),
    "loop lag ms": lambda step: times(step["inside"]["loop_lag_p99"], 1000),
}


def times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def summary(targets: Iterable[Target], strategy: str, samples: Sequence[Sample]) -> Plotted:
    """Return as much of a summary.json as a plot looks at."""
    return {
        "arms": [
            {
                "target": target.name,
                "strategy": strategy_for(strategy, target.interface),
                "interface": target.interface,
                "label": "",
                "slots": target.slots,
                "steps": [sample.steps[target.name] for sample in samples],
            }
            for target in targets
        ]
    }


def drawn(shown: Plotted, pause: Pause) -> Iterator[tuple[str, Any]]:
    """Yield each figure with its title; after each of them `pause` lets the load go on."""
    for title in READING:
        yield title, PLOTS[title].draw(shown, TIME)
        pause()


def whole(shown: Plotted, pause: Pause) -> dict[str, Any]:
    """Return each figure as Plotly's JSON."""
    return {title: json.loads(figure.to_json()) for title, figure in drawn(shown, pause)}


def points(shown: Plotted, pause: Pause) -> dict[str, list[list[Any]]]:
    """Return what each trace of each figure is to be extended by: its x and its y."""
    return {title: [[list(trace.x), list(trace.y)] for trace in figure.data] for title, figure in drawn(shown, pause)}


def row(sample: Sample, targets: Iterable[str]) -> list[str]:
    """Return the sample as the table behind the plots shows it."""
    cells = [f"{sample.second:.0f}"]
    for name in targets:
        step = sample.steps.get(name)
        cells += [cell(value(step) if step else None) for value in HEADINGS.values()]
    return cells


def cell(value: float | None) -> str:
    return "–" if value is None else digits(value)


def colours(targets: Iterable[Target]) -> dict[str, str]:
    """Return each target's colour, as the plots choose it."""
    return {target.name: colour(target.interface) for target in targets}
