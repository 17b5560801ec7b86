"""PLOTS: from a summary to a figure, a function and a caption each. A new plot is one more here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

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
        steps, colour = arm["steps"], COLOURS[index % len(COLOURS)]
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
            mode="lines+markers",
            line={"color": colour, "width": 3},
            marker={"symbol": MARKERS[index % len(MARKERS)], "size": 10},
            hovertemplate="%{y:.1f} pages/s at %{x} users",
        )
        figure.add_scatter(
            x=[step["users"] for step in steps],
            y=[step["predicted"]["goodput"] for step in steps],
            name=f"{short_name(arm)}, predicted",
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": "dot"},
            hovertemplate="%{y:.1f} pages/s predicted",
        )
    return figure


@plot(
    "External concurrency",
    "Users outside against what is worked on inside, on logarithmic scales: solid, pages in flight inside the "
    "aggregator; dashed, calls in flight at the api, as both say of themselves (medians of a reading a second). "
    "Where a target has slots its lines stop there and the rest of the users queues; without slots they follow.",
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
                mode="lines+markers",
                line={"color": COLOURS[index % len(COLOURS)], "width": 3 if dash == "solid" else 2, "dash": dash},
                marker={"symbol": MARKERS[index % len(MARKERS)], "size": 10 if dash == "solid" else 7},
                hovertemplate="%{y:.0f} at %{x} users",
            )
    return figure


@plot(
    "Response time",
    "What a user waits for a page, in seconds: half of the pages are faster than p50, 95 of 100 faster "
    "than p95, 99 of 100 faster than p99. Where the goodput is flat every further user only lengthens "
    "the queue, and the line climbs. With few pages the percentiles lie on top of each other.",
)
def response_time(summary: Summary) -> go.Figure:
    figure = figure_over_users("seconds")
    dashes = {"p50": "solid", "p95": "dash", "p99": "dot"}
    for index, arm in enumerate(summary["arms"]):
        for percentile, dash in dashes.items():
            figure.add_scatter(
                x=[step["users"] for step in arm["steps"]],
                y=[step["response_time"][percentile] for step in arm["steps"]],
                name=f"{short_name(arm)} {percentile}",
                mode="lines+markers",
                line={
                    "color": COLOURS[index % len(COLOURS)],
                    "width": 3 if dash == "solid" else 1.5,
                    "dash": dash,
                },
                marker={
                    "symbol": MARKERS[index % len(MARKERS)],
                    "size": 10 if dash == "solid" else 5,
                },
                hovertemplate="%{y:.3f} s at %{x} users",
            )
    return figure


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
