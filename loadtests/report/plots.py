"""PLOTS: from a summary to a figure, a function and a caption each. A new plot is one more here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from loadtests.analysis.cost import ENOUGH_PAGES

# Okabe and Ito's palette, told apart by colour-blind readers too; one colour an arm, everywhere.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("circle", "diamond", "square", "triangle-up", "cross", "x")

Summary = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plot:
    title: str
    caption: str
    draw: Callable[[Summary], go.Figure]


PLOTS: list[Plot] = []


def plot(title: str, caption: str) -> Callable[[Callable[[Summary], go.Figure]], Callable[[Summary], go.Figure]]:
    def register(draw: Callable[[Summary], go.Figure]) -> Callable[[Summary], go.Figure]:
        PLOTS.append(Plot(title, caption, draw))
        return draw

    return register


def arm_name(arm: Mapping[str, Any]) -> str:
    slots = f"{arm['slots']} slots" if arm["slots"] else "no slots"
    label = f", {arm['label']}" if arm["label"] else ""
    return f"{arm['target']} · {arm['strategy']}{label} ({slots})"


def short_name(arm: Mapping[str, Any]) -> str:
    return f"{arm['target']} {arm['label']}".strip()


@plot(
    "Goodput",
    "Whole pages per second against users outside. A line that follows the users has room; a line that "
    "turns flat has met its limit. Dotted: what users, slots, pool and CPU predict. Thin bars: the lowest "
    "and highest repeat, where there was more than one.",
)
def goodput(summary: Summary) -> go.Figure:
    figure = figure_over_users("pages/s")
    for index, arm in enumerate(summary["arms"]):
        steps = arm["steps"]
        figure.add_scatter(
            x=[step["users"] for step in steps],
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
            hovertemplate="%{y:.1f} pages/s at %{x} users",
            **measured_line(index),
        )
        predicted = [step["predicted"]["goodput"] for step in steps]
        add_predicted(figure, index, [step["users"] for step in steps], predicted, f"{short_name(arm)}, predicted")
    return figure


@plot(
    "Response time",
    "What a user waits for a page, in seconds: half of the pages are faster than p50, 95 of 100 faster "
    "than p95, 99 of 100 faster than p99. Where the goodput is flat every further user only lengthens "
    "the queue, and the line climbs. Dotted: predicted. With few pages the percentiles lie on top of each other.",
)
def response_time(summary: Summary) -> go.Figure:
    figure = figure_over_users("seconds")
    dashes = {"p50": "solid", "p95": "dash", "p99": "dashdot"}
    for index, arm in enumerate(summary["arms"]):
        for percentile, dash in dashes.items():
            figure.add_scatter(
                x=[step["users"] for step in arm["steps"]],
                y=[step["response_time"][percentile] for step in arm["steps"]],
                name=f"{short_name(arm)} {percentile}",
                hovertemplate="%{y:.3f} s at %{x} users",
                **measured_line(index, dash),
            )
        users = [step["users"] for step in arm["steps"]]
        predicted = [step["predicted"]["response_time"] for step in arm["steps"]]
        add_predicted(figure, index, users, predicted, f"{short_name(arm)}, predicted")
    return figure


@plot(
    "External concurrency",
    "Users outside against what is worked on inside, on logarithmic scales: solid, pages in flight inside the "
    "aggregator; dashed, calls in flight at the api, as both say of themselves (medians of a reading a second). "
    "Dotted: predicted. Where a target has slots its lines stop there and the rest of the users queues; without slots "
    "they follow.",
)
def external_concurrency(summary: Summary) -> go.Figure:
    figure = figure_over_users("in flight")
    figure.update_xaxes(type="log", rangemode="normal")
    figure.update_yaxes(type="log", rangemode="normal")
    for index, arm in enumerate(summary["arms"]):
        for what, label, dash in (
            ("pages_in_flight", "pages inside", "solid"),
            ("calls_in_flight", "calls at the api", "dash"),
        ):
            figure.add_scatter(
                x=[step["users"] for step in arm["steps"]],
                y=[step["inside"][what] or None for step in arm["steps"]],  # a logarithm has no zero
                name=f"{short_name(arm)}, {label}",
                hovertemplate="%{y:.0f} at %{x} users",
                **measured_line(index, dash),
            )
            users = [step["users"] for step in arm["steps"]]
            predicted = [step["predicted"][what] or None for step in arm["steps"]]
            add_predicted(figure, index, users, predicted, f"{short_name(arm)}, {label}, predicted")
    return figure


@plot(
    "CPU per page",
    "CPU milliseconds that a server takes for one page, all its processes together, at steps with pages enough to "
    "tell. One core has 1,000 a second: 10 ms a page end at 100 pages/s, whatever the slots. Dotted: what the "
    "prediction uses.",
)
def cpu_per_page(summary: Summary) -> go.Figure:
    figure = figure_over_users("ms")
    for index, arm in enumerate(summary["arms"]):
        steps = [step for step in arm["steps"] if step["pages"] >= ENOUGH_PAGES and step["cpu_per_page"] is not None]
        users = [step["users"] for step in steps]
        figure.add_scatter(
            x=users,
            y=[step["cpu_per_page"] * 1000 for step in steps],
            name=short_name(arm),
            hovertemplate="%{y:.1f} ms at %{x} users",
            **measured_line(index),
        )
        if arm["cpu_per_page_calibrated"] is not None:
            calibrated = [arm["cpu_per_page_calibrated"] * 1000] * len(steps)
            add_predicted(figure, index, users, calibrated, f"{short_name(arm)}, predicted with")
    return figure


def measured_line(index: int, dash: str = "solid") -> dict[str, Any]:
    """The arm's own colour and marker; all but the first line of an arm are thinner."""
    first = dash == "solid"
    return {
        "mode": "lines+markers",
        "line": {"color": COLOURS[index % len(COLOURS)], "width": 3 if first else 1.5, "dash": dash},
        "marker": {"symbol": MARKERS[index % len(MARKERS)], "size": 10 if first else 6},
    }


def add_predicted(figure: go.Figure, index: int, users: list[int], values: list[Any], name: str) -> None:
    """A thin dotted line in the arm's colour; captions explain it, so that legends stay short."""
    figure.add_scatter(
        showlegend=False,
        x=users,
        y=values,
        name=name,
        mode="lines",
        line={"color": COLOURS[index % len(COLOURS)], "width": 1.5, "dash": "dot"},
        hovertemplate="%{y:.3g} predicted",
    )


def figure_over_users(unit: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        font={"size": 15},
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        height=420,
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.2},
        xaxis={"title": "users", "rangemode": "tozero"},
        yaxis={"title": unit, "rangemode": "tozero"},
    )
    return figure
