"""PLOTS: from a summary to a figure, a function and a caption each. A new plot is one more here.

A figure is drawn over an axis: what was turned from step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from loadtests.analysis.cost import ENOUGH_PAGES

# Okabe and Ito's palette, told apart by colour-blind readers too; one colour an arm, everywhere.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("circle", "diamond", "square", "triangle-up", "cross", "x")

Summary = Mapping[str, Any]
Step = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """`key`: of a step in summary.json; `at`: what stands behind its value in a sentence."""

    key: str
    title: str
    at: str

    def steps(self, arm: Mapping[str, Any]) -> list[Step]:
        """Those of the arm that lie on this axis."""
        return [step for step in arm["steps"] if step[self.key] is not None]

    def values(self, arm: Mapping[str, Any]) -> list[float]:
        return [step[self.key] for step in self.steps(arm)]


USERS = Axis("users", "users", "users")
ARRIVALS = Axis("rate", "pages/s that arrive", "pages/s arriving")
AXES = (USERS, ARRIVALS)

Draw = Callable[[Summary, Axis], go.Figure]


@dataclass(frozen=True, slots=True)
class Plot:
    title: str
    caption: str
    draw: Draw


@dataclass(frozen=True, slots=True)
class Drawn:
    title: str
    caption: str
    axis: Axis
    figure: go.Figure


PLOTS: list[Plot] = []


def plot(title: str, caption: str) -> Callable[[Draw], Draw]:
    def register(draw: Draw) -> Draw:
        PLOTS.append(Plot(title, caption, draw))
        return draw

    return register


def drawn(summary: Summary) -> Iterator[Drawn]:
    """Every plot, over each axis that the run has steps on."""
    axes = [axis for axis in AXES if any(axis.steps(arm) for arm in summary["arms"])] or [USERS]
    for axis in axes:
        for one in PLOTS:
            title = one.title if axis is USERS else f"{one.title}, open loop"
            yield Drawn(title, one.caption, axis, one.draw(summary, axis))


def arm_name(arm: Mapping[str, Any]) -> str:
    slots = f"{arm['slots']} slots" if arm["slots"] else "no slots"
    label = f", {arm['label']}" if arm["label"] else ""
    return f"{arm['target']} · {arm['strategy']}{label} ({slots})"


def short_name(arm: Mapping[str, Any]) -> str:
    return f"{arm['target']} {arm['label']}".strip()


@plot(
    "Goodput",
    "Whole pages per second against the load outside. A line that follows the load has room; a line that "
    "turns flat has met its limit. Dotted: what load, slots, pool and CPU predict. Thin bars: the lowest "
    "and highest repeat, where there was more than one.",
)
def goodput(summary: Summary, axis: Axis) -> go.Figure:
    figure = empty_figure(axis, "pages/s")
    for index, arm in enumerate(summary["arms"]):
        steps = axis.steps(arm)
        figure.add_scatter(
            x=axis.values(arm),
            y=[step["goodput"] for step in steps],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [max(step["goodput_repeats"]) - step["goodput"] for step in steps],
                "arrayminus": [step["goodput"] - min(step["goodput_repeats"]) for step in steps],
                "thickness": 1,
                "visible": any(len(step["goodput_repeats"]) > 1 for step in steps),
            },
            name=arm_name(arm),
            hovertemplate=f"%{{y:.1f}} pages/s at %{{x}} {axis.at}",
            **measured_line(index),
        )
        add_predicted(figure, axis, index, arm, [step["predicted"]["goodput"] for step in steps])
    return figure


@plot(
    "Response time",
    "What a user waits for a page, in seconds: half of the pages are faster than p50, 95 of 100 faster "
    "than p95, 99 of 100 faster than p99. Where the goodput is flat every further user only lengthens "
    "the queue, and the line climbs. In an open loop time counts from when a page was due, and beyond the limit it "
    "grows for as long as the load goes on. Dotted: predicted. With few pages the percentiles are one.",
)
def response_time(summary: Summary, axis: Axis) -> go.Figure:
    figure = empty_figure(axis, "seconds")
    dashes = {"p50": "solid", "p95": "dash", "p99": "dashdot"}
    for index, arm in enumerate(summary["arms"]):
        for percentile, dash in dashes.items():
            figure.add_scatter(
                x=axis.values(arm),
                y=[step["response_time"][percentile] for step in axis.steps(arm)],
                name=f"{short_name(arm)} {percentile}",
                hovertemplate=f"%{{y:.3f}} s at %{{x}} {axis.at}",
                **measured_line(index, dash),
            )
        predicted = [step["predicted"]["response_time"] for step in axis.steps(arm)]
        add_predicted(figure, axis, index, arm, predicted)
    return figure


@plot(
    "External concurrency",
    "The load outside against what is worked on inside, on logarithmic scales: solid, pages in flight inside the "
    "aggregator; dashed, calls in flight at the api, as both say of themselves (medians of a reading a second). "
    "Dotted: predicted. Where a target has slots its lines stop there and the rest of the users queues; without slots "
    "they follow.",
)
def external_concurrency(summary: Summary, axis: Axis) -> go.Figure:
    figure = empty_figure(axis, "in flight")
    figure.update_xaxes(type="log", rangemode="normal")
    figure.update_yaxes(type="log", rangemode="normal")
    for index, arm in enumerate(summary["arms"]):
        for what, label, dash in (
            ("pages_in_flight", "pages inside", "solid"),
            ("calls_in_flight", "calls at the api", "dash"),
        ):
            figure.add_scatter(
                x=axis.values(arm),
                y=[step["inside"][what] or None for step in axis.steps(arm)],  # a logarithm has no zero
                name=f"{short_name(arm)}, {label}",
                hovertemplate=f"%{{y:.0f}} at %{{x}} {axis.at}",
                **measured_line(index, dash),
            )
            add_predicted(figure, axis, index, arm, [step["predicted"][what] or None for step in axis.steps(arm)])
    return figure


@plot(
    "CPU per page",
    "CPU milliseconds that a server takes for one page, all its processes together, at steps with pages enough to "
    "tell. One core has 1,000 a second: 10 ms a page end at 100 pages/s, whatever the slots. Dotted: what the "
    "prediction uses.",
)
def cpu_per_page(summary: Summary, axis: Axis) -> go.Figure:
    figure = empty_figure(axis, "ms")
    for index, arm in enumerate(summary["arms"]):
        steps = [step for step in axis.steps(arm) if step["pages"] >= ENOUGH_PAGES and step["cpu_per_page"] is not None]
        figure.add_scatter(
            x=[step[axis.key] for step in steps],
            y=[step["cpu_per_page"] * 1000 for step in steps],
            name=short_name(arm),
            hovertemplate=f"%{{y:.1f}} ms at %{{x}} {axis.at}",
            **measured_line(index),
        )
        if arm["cpu_per_page_calibrated"] is not None:
            calibrated = arm["cpu_per_page_calibrated"] * 1000
            add_predicted(figure, axis, index, arm, [calibrated for _ in axis.steps(arm)])
    return figure


def measured_line(index: int, dash: str = "solid") -> dict[str, Any]:
    """The arm's own colour and marker; all but the first line of an arm are thinner."""
    first = dash == "solid"
    return {
        "mode": "lines+markers",
        "line": {"color": COLOURS[index % len(COLOURS)], "width": 3 if first else 1.5, "dash": dash},
        "marker": {"symbol": MARKERS[index % len(MARKERS)], "size": 10 if first else 6},
    }


def add_predicted(
    figure: go.Figure, axis: Axis, index: int, arm: Mapping[str, Any], values: Sequence[float | None]
) -> None:
    """A thin dotted line in the arm's colour; captions explain it, so that legends stay short."""
    figure.add_scatter(
        showlegend=False,
        x=axis.values(arm),
        y=list(values),
        name=f"{short_name(arm)}, predicted",
        mode="lines",
        line={"color": COLOURS[index % len(COLOURS)], "width": 1.5, "dash": "dot"},
        hovertemplate="%{y:.3g} predicted",
    )


def empty_figure(axis: Axis, unit: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        font={"size": 15},
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        height=420,
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.2},
        xaxis={"title": axis.title, "rangemode": "tozero"},
        yaxis={"title": unit, "rangemode": "tozero"},
    )
    return figure
