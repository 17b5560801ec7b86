"""PLOTS: from a summary to a figure, its lines and captions each. A new plot is one more here.

A figure is drawn over an axis: what was turned from step to step. Where nothing was turned it has a bar for each arm,
and another caption, because other things are drawn. A colour is an interface; a dash and a marker are an arm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from loadtests.model.experiment import arm_words, spoken
from loadtests.model.knobs import KNOBS
from loadtests.model.measurement import ENOUGH_PAGES
from loadtests.model.summary import ArmSummary, Plotted, StepSummary, Summary
from loadtests.model.units import UNKNOWN, digits, duration

# Of Okabe and Ito's palette, told apart by colour-blind readers too.
WSGI, ASGI, OTHER, PREDICTED = "#0072B2", "#D55E00", "#009E73", "#7f7f7f"
DASHES = ("solid", "dash", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "diamond", "square", "triangle-up", "cross", "x", "star")

Value = Callable[[StepSummary], float | None]


@dataclass(frozen=True, slots=True)
class Axis:
    """`key`: of a step in summary.json, or a knob that its steps turn; `at`: what stands behind its value."""

    key: str
    title: str
    at: str

    def x(self, step: StepSummary) -> float | None:
        """Return the step's place on this axis; None if it has none."""
        if self.is_time:
            return float(step["second"])
        if self in {USERS, ARRIVALS} and not step["knobs"]:
            return step["users"] if self is USERS else step["rate"]
        return step["knobs"].get(self.key)

    @property
    def is_time(self) -> bool:
        """Return whether it is the live page's axis: its steps are moments, and hours of them make a line."""
        return self.key == "second"

    def steps(self, arm: ArmSummary) -> list[StepSummary]:
        """Return those of the arm that lie on this axis."""
        return [step for step in arm["steps"] if self.x(step) is not None]


USERS = Axis("users", "users", "users")
ARRIVALS = Axis("rate", "pages/s that arrive", "pages/s arriving")
TIME = Axis("second", "seconds of load", "s")
AXES = (USERS, ARRIVALS, *(Axis(knob.name, knob.help, knob.name.replace("_", " ")) for knob in KNOBS))

Draw = Callable[[Plotted, Axis], go.Figure]


@dataclass(frozen=True, slots=True)
class Plot:
    """`caption` of its lines, `bars` of its bars where that is another: how to read what is drawn, nothing else."""

    title: str
    caption: str
    draw: Draw
    bars: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """`over`: what its x axis is; `written`: its table, where the figure alone does not make one."""

    title: str
    caption: str
    over: str
    figure: go.Figure
    written: tuple[list[str], list[list[str]]] | None = None

    @property
    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return the headings and the rows of what is drawn, with their units; no rows where nothing was written."""
        if self.written is not None:
            return self.written
        series = [trace for trace in self.figure.data if trace.customdata is not None and len(trace.customdata)]
        places = sorted({x for trace in series if trace.type == "scatter" for x in trace.x})
        written = [
            [trace.name, *(dict(zip(trace.x, trace.customdata, strict=True)).get(x, "") for x in places)]
            if places
            else [trace.name, *trace.customdata]
            for trace in series
        ]
        headings = [f"{x:g} {self.over.removesuffix('s') if x == 1 else self.over}" for x in places]
        if series and not places:
            headings = list(series[0].y) if len(series[0].customdata) > 1 else ["measured"]
        return ["", *headings], written


HEIGHT, LEGEND_LINE = 420, 22  # pixels
FEW_DECADES = 4  # ticks at 10^n, of which so many leave room for 2 and 5 times as much
DECADE = 9.0  # times: nearly one is one
FEW = 6  # lines that a legend below the plot has room for


def drawn(summary: Summary) -> Iterator[Drawn]:
    """Yield the plots that answer the question, over each axis that the run has steps on."""
    axes = [axis for axis in AXES if any(axis.steps(arm) for arm in summary["arms"])] or [USERS]
    for axis in axes:
        for one in (PLOTS[title] for title in summary["plots"]):
            figure = one.draw(summary, axis)
            unit = figure.layout.yaxis.title.text or figure.layout.xaxis.title.text
            title = f"{one.title}{', open loop' if axis is ARRIVALS else ''}"
            title += f" ({unit})" if unit != one.title.lower() else ""
            caption = one.bars if one.bars and len(places_on(axis, summary)) <= 1 else one.caption
            yield Drawn(title, caption, axis.at, figure)


def colour(interface: str) -> str:
    return {"WSGI": WSGI, "ASGI": ASGI}.get(interface, OTHER)


def look_of(arms: Sequence[ArmSummary], arm: ArmSummary) -> dict[str, str]:
    """Return what an arm's line looks like: in the colour of its interface, dashed to tell it from the others of it."""
    alike = [one for one in arms if one["interface"] == arm["interface"]]
    return {"color": colour(arm["interface"]), "dash": DASHES[alike.index(arm) % len(DASHES)]}


def places_on(axis: Axis, summary: Plotted) -> set[float | None]:
    return {axis.x(step) for arm in summary["arms"] for step in axis.steps(arm)}


def arm_name(arm: ArmSummary) -> str:
    slots = f"{arm['slots']} slots" if arm["slots"] else "no slots"
    return f"{arm_words(arm['target'], arm['strategy'], arm['label'])} ({slots})"


def short_names(summary: Plotted) -> list[str]:
    """Return names that are as short as tells the arms apart."""
    targets = [arm["target"] for arm in summary["arms"]]
    strategies = {arm["strategy"] for arm in summary["arms"]}
    names = []
    for arm in summary["arms"]:
        alone = targets.count(arm["target"]) == 1
        words = [spoken(arm["target"])]
        if not alone and not arm["label"] and len(strategies) > 1:
            words.append(arm["strategy"].replace("_", " "))
        names.append(" ".join([*words, arm["label"]]).strip())
    return names


# --- what every plot is made of ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One value of every arm's steps, in `unit`; `minor`: it is a thin one; `whole`: it is a count."""

    value: Value
    unit: str
    whole: bool = False
    minor: bool = False
    label: str = ""
    predicted: Value | None = None
    spread: Callable[[StepSummary], Sequence[float]] | None = None

    def words(self, value: float) -> str:
        """Return the value as a reader sees it, with the unit that fits."""
        if self.unit in SECONDS:
            return duration(value * SECONDS[self.unit])
        return f"{value:,.0f} {self.unit}" if self.whole else f"{digits(value)} {self.unit}"

    def written(self, step: StepSummary) -> str:
        """Return the step's value, and the predicted one: 9.90 pages/s (predicted 10.0 pages/s)."""
        value, expected = self.value(step), self.predicted and self.predicted(step)
        text = UNKNOWN if value is None else self.words(value)
        return text if expected is None else f"{text} (predicted {self.words(expected)})"

    @property
    def hovered(self) -> str:
        """Return Plotly's own format of a value, of which the live page has new ones each second."""
        return "%{y:.3s}s" if self.unit == "s" else f"%{{y:{',.0f' if self.whole else '.3r'}}} {self.unit}"


SECONDS = {"s": 1.0, "ms": 1e-3}


def figure_of(summary: Plotted, axis: Axis, title: str, *lines: Line) -> go.Figure:
    """Draw lines over the axis; bars if there is only one place on it."""
    figure = empty_figure(axis, title)
    places = places_on(axis, summary)
    curves = axis.is_time or len(places) > 1
    for index, (arm, name) in enumerate(zip(summary["arms"], short_names(summary), strict=True)):
        look = look_of(summary["arms"], arm)
        for line in lines:
            if line.minor and not axis.is_time and all(line.value(step) is None for step in axis.steps(arm)):
                continue  # nobody knows it, as the calls of a project of somebody's own
            legend = f"{name} {line.label}".strip() if line.label else arm_name(arm)
            if curves:
                marker = MARKERS[index % len(MARKERS)] + ("-open" if line.minor else "")
                figure.add_traces(list(curve(axis, axis.steps(arm), line, legend, look, marker)))
            elif not line.minor:
                figure.add_traces(list(bar(arm, axis.steps(arm), line, name)))
    if curves and not axis.is_time and any(line.predicted for line in lines):
        figure.add_scatter(x=[None], y=[None], name="predicted", mode="lines", line={"color": PREDICTED, "dash": "dot"})
    if curves and not axis.is_time:
        make_room_for_legend(figure)
        if axis not in {USERS, ARRIVALS}:
            on_places(figure, sorted(place for place in places if place is not None))
    if not curves and places:
        turn_over(figure, title)
    return figure


def turn_over(figure: go.Figure, title: str) -> None:
    """Make the axes those of horizontal bars."""
    figure.update_layout(
        xaxis={"title": title, "rangemode": "tozero"},
        yaxis={"title": "", "autorange": "reversed", "automargin": True},
        showlegend=False,
    )
    if not any(trace.x for trace in figure.data):
        figure.add_annotation(text="too little was measured to tell", showarrow=False)


def on_places(figure: go.Figure, places: Sequence[float]) -> None:
    """Make the x axis logarithmic if what is turned spans a decade, with a tick at each of its values."""
    if places and 0 < DECADE * places[0] <= places[-1]:
        names = [f"{place:g}" for place in places]
        figure.update_xaxes(type="log", rangemode="normal", tickvals=places, ticktext=names)


def make_room_for_legend(figure: go.Figure) -> None:
    """Make the figure higher if its legend has many lines, of which a narrow plot has one for each name."""
    named = sum(trace.showlegend is not False for trace in figure.data)
    if named > FEW:
        figure.update_layout(
            height=HEIGHT + LEGEND_LINE * (named - FEW),
            legend={"yref": "container", "y": 0, "yanchor": "bottom"},
            margin={"b": 50 + LEGEND_LINE * named},
        )


def curve(  # noqa: PLR0913, PLR0917  # what a line looks like
    axis: Axis, steps: Sequence[StepSummary], line: Line, name: str, look: Mapping[str, str], marker: str
) -> Iterator[go.Scatter]:
    more: dict[str, Any] = {}
    if line.spread is not None and any(line.spread(step) for step in steps):
        spreads = [(line.value(step) or 0.0, line.spread(step)) for step in steps]
        more["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, max(spread, default=value) - value) for value, spread in spreads],
            "arrayminus": [max(0.0, value - min(spread, default=value)) for value, spread in spreads],
            "thickness": 1,
        }
    if not axis.is_time:
        more["customdata"] = [line.written(step) for step in steps]
    yield go.Scatter(
        x=[axis.x(step) for step in steps],
        y=[line.value(step) for step in steps],
        name=name,
        hovertemplate=line.hovered if axis.is_time else f"at %{{x}} {axis.at}: %{{customdata}}",
        mode="lines" if axis.is_time else "lines+markers",
        line={**look, "width": 1.5 if line.minor else 3},
        marker={"symbol": marker, "size": 7 if line.minor else 10},
        **more,
    )
    if line.predicted is not None:
        yield go.Scatter(
            showlegend=False,
            x=[axis.x(step) for step in steps],
            y=[line.predicted(step) for step in steps],
            name=f"{name}, predicted",
            mode="lines",
            line={"color": look["color"], "width": 1.5, "dash": "dot"},
            hoverinfo="skip",
        )


def bar(arm: ArmSummary, steps: Sequence[StepSummary], line: Line, name: str) -> Iterator[go.Bar | go.Scatter]:
    """Draw a bar. Its figure stands below the arm's name, because the predicted one is drawn at the bar's end."""
    known = [(step, value) for step in steps if (value := line.value(step)) is not None]
    places = [f"{name}<br><b>{line.words(value)}</b>" for _, value in known]
    yield go.Bar(
        orientation="h",
        x=[value for _, value in known],
        y=places,
        name=arm_name(arm),
        marker={"color": colour(arm["interface"])},
        customdata=[line.written(step) for step, _ in known],
        hovertemplate="%{customdata}",
    )
    if line.predicted is not None:
        yield go.Scatter(
            x=[line.predicted(step) for step, _ in known],
            y=places,
            name="predicted",
            mode="markers",
            marker={"symbol": "line-ns", "size": 24, "line": {"width": 2, "color": PREDICTED}},
            hoverinfo="skip",
        )


def empty_figure(axis: Axis, unit: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template={} if axis.is_time else "plotly_white",  # to copy one is most of a figure's cost, every second
        font={"size": 15},
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        height=HEIGHT,
        hovermode="x unified" if axis.is_time else "closest",
        legend={"orientation": "h", "y": -0.2},
        xaxis={"title": axis.title, "rangemode": "tozero"},
        yaxis={"title": unit, "rangemode": "tozero"},
    )
    return figure


def lines(unit: str, *lines: Line) -> Draw:
    """Return what draws lines over the axis, whose other axis is in `unit`."""
    return lambda summary, axis: figure_of(summary, axis, unit, *lines)


def inside(name: str, unit: str, factor: float = 1.0, *, whole: bool = False) -> Draw:
    """Return what draws a reading of the services."""

    def value(step: StepSummary) -> float | None:
        reading = step["inside"][name]
        return None if reading is None else reading * factor

    return lines(unit, Line(value, unit, whole=whole))


def predicted(name: str) -> Value:
    return lambda step: step["predicted"][name]


def counted(name: str, unit: str, label: str = "", *, minor: bool = False) -> Line:
    """Return the line of what the services counted, per second."""

    def value(step: StepSummary) -> float | None:
        count = step["inside"][name]
        return None if count is None or not step["seconds"] else count / step["seconds"]

    return Line(value, unit, minor=minor, label=label)


def percentile_line(percentile: str, expected: Value | None = None) -> Line:
    return Line(
        lambda step: step["response_time"][percentile],
        "s",
        minor=percentile != "p50",
        label=percentile,
        predicted=expected,
        spread=lambda step: step.get("response_time_interval", {}).get(percentile) or [],
    )


def response_time(summary: Plotted, axis: Axis) -> go.Figure:
    """Draw the median; over time p95 and p99 beside it, else bands from it to p95 and from there to p99."""
    median = percentile_line("p50", predicted("response_time"))
    if axis.is_time:
        return figure_of(summary, axis, "seconds", median, percentile_line("p95"), percentile_line("p99"))
    figure = figure_of(summary, axis, "seconds", median)
    if len(places_on(axis, summary)) > 1:
        for arm in summary["arms"]:
            figure.add_traces(list(bands(axis, arm)))
        on_decades(figure, [y for trace in figure.data for y in trace.y if y])
    return figure


def bands(axis: Axis, arm: ArmSummary) -> Iterator[go.Scatter]:
    for low, high, strength in (("p50", "p95", 0.22), ("p95", "p99", 0.1)):
        known = [
            (axis.x(step), lower, upper)
            for step in axis.steps(arm)
            if (lower := step["response_time"][low]) and (upper := step["response_time"][high])
        ]
        shade = f"rgba{(*(int(colour(arm['interface'])[i : i + 2], 16) for i in (1, 3, 5)), strength)}"
        yield go.Scatter(
            x=[x for x, _, _ in (*known, *reversed(known))],
            y=[*(upper for _, _, upper in known), *(lower for _, lower, _ in reversed(known))],
            name=f"{low} to {high}",
            mode="lines",
            line={"width": 2, "color": shade},
            fill="toself",
            fillcolor=shade,
            showlegend=False,
            hoverinfo="skip",
        )


def on_decades(figure: go.Figure, seconds: Sequence[float], axis: str = "yaxis") -> bool:
    """Make an axis of seconds logarithmic if they span a decade, with the units that fit at its ticks."""
    if not seconds or max(seconds) < DECADE * min(seconds):
        return False
    decades = range(math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds))) + 1)
    steps = (1, 2, 5) if len(decades) <= FEW_DECADES else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps][: 1 - len(steps) or None]
    names = [f"{tick:g} s" if tick >= 1 else f"{tick * 1e3:g} ms" for tick in ticks]
    figure.update_layout({axis: {"type": "log", "rangemode": "normal", "tickvals": ticks, "ticktext": names}})
    return True


def external_concurrency(summary: Plotted, axis: Axis) -> go.Figure:
    def line(what: str, label: str, *, minor: bool = False) -> Line:
        return Line(
            lambda step: step["inside"][what] or None,  # a logarithm has no zero
            "in flight",
            whole=True,
            minor=minor,
            label=label,
            predicted=lambda step: step["predicted"][what] or None,
        )

    pages, calls = line("pages_in_flight", "pages inside"), line("calls_in_flight", "calls at the api", minor=True)
    figure = figure_of(summary, axis, "in flight", pages, calls)
    over_load = any(trace.type == "scatter" and trace.mode == "lines+markers" for trace in figure.data)
    if over_load:
        figure.update_xaxes(type="log", dtick=1, rangemode="normal")
    if over_load or axis.is_time:
        figure.update_yaxes(type="log", dtick=1, rangemode="normal")
    return figure


def cpu_per_page(step: StepSummary) -> float | None:
    if step["pages"] < ENOUGH_PAGES or step["cpu_per_page"] is None:
        return None
    return float(step["cpu_per_page"]) * 1000


def failures(step: StepSummary) -> float | None:
    return step["failures"] / step["seconds"] if step["seconds"] else None


def first_byte(summary: Plotted, axis: Axis) -> go.Figure:
    figure = empty_figure(axis, "seconds")
    shown = [arm["steps"][-1] if arm["steps"] else None for arm in summary["arms"]]
    for label, shade, medians in (
        ("first byte", "", [step and step["first_byte"]["p50"] for step in shown]),
        ("last byte", "/", [step and step["response_time"]["p50"] for step in shown]),
    ):
        figure.add_bar(
            orientation="h",
            x=medians,
            y=short_names(summary),
            name=label,
            marker={"color": WSGI if shade else "#E69F00", "pattern": {"shape": shade}},
            customdata=[duration(median) for median in medians],
            hovertemplate="%{customdata}",
        )
    figure.update_layout(
        barmode="group",
        xaxis={"title": "seconds"},
        yaxis={"title": "", "autorange": "reversed", "automargin": True},
    )
    return figure


EVERY = (
    Plot(
        "Goodput",
        "Whole pages per second against the load outside. A line that follows the load has room; a line that turns "
        "flat has met its limit. Dotted: what load, slots, pool and CPU predict. Thin bars: the 95 % interval, of the "
        "repeats or, of one, of blocks of its pages.",
        lines(
            "pages/s",
            Line(
                lambda step: step["goodput"],
                "pages/s",
                predicted=predicted("goodput"),
                spread=lambda step: step.get("goodput_interval") or [],
            ),
        ),
        bars="Whole pages per second, a bar for each arm. Short grey line: what load, slots, pool and CPU predict.",
    ),
    Plot(
        "Response time",
        "How long a user waits for a page: half of the pages are faster than p50 (the line), 95 of 100 than p95 (the "
        "band above it), 99 of 100 than p99 (the lighter band); logarithmic if times span a decade. Where the goodput "
        "is flat every further user only lengthens the queue, and the line climbs. In an open loop time counts from "
        "when a page was due, and beyond the limit it grows for as long as the load goes on. Dotted: predicted. Thin "
        "bars: 95 % intervals. p95 needs 100 pages, p99 1,000.",
        response_time,
        bars=(
            "How long a user waits for a page, in an open loop from when it was due: half of the pages are faster "
            "(p50). The table below has p95, p99 and the slowest. Short grey line: predicted."
        ),
    ),
    Plot(
        "External concurrency",
        "The load outside against what is worked on inside, on logarithmic scales: thick, pages in flight inside the "
        "aggregator; thin, calls in flight at the api, as both report (medians of a reading a second). Dotted: "
        "predicted. Where a target has slots its lines stop there and the rest of the users queues; without slots "
        "they follow.",
        external_concurrency,
        bars=(
            "Pages in flight inside the aggregator, the median of a reading a second. A target with slots has no more "
            "of them than slots; the rest of the users queues. The table below has the calls in flight at the api. "
            "Short grey line: predicted."
        ),
    ),
    Plot(
        "CPU per page",
        "CPU milliseconds that a server takes for one page, all its processes together, at steps with enough pages to "
        "tell. A core has 1,000 of them a second: at 10 ms per page one core tops out at 100 pages/s, whatever the "
        "slots.",
        lines("ms", Line(cpu_per_page, "ms")),
        bars=(
            "CPU time that a server takes for one page, all its processes together, where there were enough pages to "
            "tell. At 10 ms per page one core tops out at 100 pages/s, whatever the slots."
        ),
    ),
    Plot(
        "CPU",
        "Cores that the server's processes compute on. A Python process has one at the most: a line that comes near "
        "to it, or to the container's limit, is about to bend the others.",
        lines("cores", counted("cpu_seconds", "cores")),
        bars="Cores that the server's processes compute on. A Python process has one at the most.",
    ),
    Plot(
        "Failures",
        "Answers per second that were not a whole page: wrong status, a call missing, or no answer at all. They do "
        "not count as goodput, however fast they were.",
        lines("failures/s", Line(failures, "failures/s")),
    ),
    Plot(
        "Users",
        "Users of each target. Each asks for the next page as soon as the last one has arrived, or half a second "
        "after a failure.",
        lines("users", Line(lambda step: step["users"], "users", whole=True)),
    ),
    Plot(
        "Memory",
        "Megabytes of the server's processes, shared pages counted once; the highest of a reading a second. The slope "
        "is what a thread or a page in flight takes.",
        inside("memory", "MB", 1e-6),
        bars="Megabytes of the server's processes, shared pages counted once; the highest of a reading a second.",
    ),
    Plot(
        "Threads",
        "Threads of the server's processes, the most of a reading a second: those that hold pages, that make calls, "
        "and those that Django starts for a request under ASGI.",
        inside("threads", "threads", whole=True),
    ),
    Plot(
        "Event-loop lag",
        "How late the event loop comes back to a task that slept a tenth of a second: p99, in milliseconds. Every "
        "page of the process waits as long, whoever made the loop wait. WSGI has no such loop.",
        inside("loop_lag_p99", "ms", 1000),
        bars=(
            "How late the event loop comes back to a task that slept a tenth of a second: p99. Every page of the "
            "process waits as long, whoever made the loop wait. WSGI has no such loop, and no bar."
        ),
    ),
    Plot(
        "First byte and last",
        "Time until the first byte of a page (orange) and until the last (blue, hatched), the median at the arm's "
        "highest step. A page that is sent as its calls arrive shows its beginning long before its end.",
        first_byte,
    ),
    Plot(
        "Done for nobody",
        "Calls per second that the api answered although every user had left by then: work for nobody. Thin: those "
        "that were hung up on when the user left.",
        lines(
            "calls/s",
            counted("api_calls_answered", "calls/s", "answered"),
            counted("api_calls_abandoned", "calls/s", "hung up on", minor=True),
        ),
        bars="Calls per second that the api answered although every user had left by then: work for nobody.",
    ),
    Plot(
        "Work after the response",
        "Tasks that pages left behind, per second: those that finished (thick), of those that were started (thin). "
        "The difference was cancelled with the event loop of its page.",
        lines(
            "tasks/s",
            counted("background_finished", "tasks/s", "finished"),
            counted("background_started", "tasks/s", "started", minor=True),
        ),
        bars=(
            "Tasks that pages left behind, per second: those that finished. What else was started was cancelled with "
            "the event loop of its page."
        ),
    ),
)
PLOTS = {plot.title: plot for plot in EVERY}
