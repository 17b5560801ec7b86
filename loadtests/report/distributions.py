"""How long every page took: its distribution, and how that changed while it was measured. From a run's raw data."""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from plotly.subplots import make_subplots

from loadtests.analysis.histograms import histogram, merged
from loadtests.model.summary import ArmSummary, Summary
from loadtests.report.plots import HEIGHT, Drawn, arm_name, colour, look_of, make_room_for_legend, on_decades

Seconds = Sequence[HdrHistogram]  # the response times in each second of a window

DAMAGED = (HdrCookieException, HdrHistogramSettingsException, HdrLengthException)
LAYOUT: Mapping[str, Any] = {"template": "plotly_white", "font": {"size": 15}}
UNREADABLE = (OSError, ValueError, LookupError, TypeError, zlib.error, *DAMAGED)
SHARES = (*range(100), 99.5, 99.9, 100)  # percent
BINS = 30  # of a heat map, in equal steps of the logarithm
EDGE = 1.15  # times the longest, and below the shortest, where an axis ends
STRIP, BETWEEN, FRAME = 130, 36, 90  # pixels: of an arm in the heat map with what is above it, and around all of them


def drawn(summary: Summary, folder: Path) -> Iterator[Drawn]:
    """Yield the plots of each arm at its highest load, as far as its raw data is there."""
    known = [(arm, seconds_of(arm, folder)) for arm in summary["arms"] if arm["steps"]]
    if known := [(arm, seconds) for arm, seconds in known if any(second.get_total_count() for second in seconds)]:
        yield Drawn(
            "Response times of all pages (% as fast)",
            "At each arm's highest load, the share of its pages that were as fast as this or faster. A steep line: all "
            "pages wait alike. A line that leans to the right at its top: a few wait much longer.",
            "seconds",
            cumulative(known),
        )
        yield Drawn(
            "Response times, second by second",
            "At each arm's highest load, when pages began (from left to right) and how long they took; the darker, the "
            "more. A level band is a steady state; one that climbs is a queue that grows.",
            "seconds of the window",
            heat(known),
        )


def seconds_of(arm: ArmSummary, folder: Path) -> Seconds:
    """Return the response times of each second of the arm's highest step, all repeats together.

    What a full disk left unreadable is left out: the report has other things to say.
    """
    together: dict[int, HdrHistogram] = {}
    for path in sorted((folder / "raw").glob("*.json")):
        with suppress(*UNREADABLE):
            if is_of(json.loads(path.read_text())["measurement"], arm):
                for second, pages in enumerate(intervals(path.with_suffix(".hlog"))):
                    together.setdefault(second, histogram()).add(pages)
    return [pages for _, pages in sorted(together.items())]


def intervals(log: Path) -> Iterator[HdrHistogram]:
    """Yield the pages that began in each second, also of a second in which none did."""
    following = None  # UNIX time in ms
    with closing(HistogramLogReader(str(log), histogram())) as reader:
        while (interval := reader.get_next_interval_histogram()) is not None:
            start = interval.get_start_time_stamp()
            for _ in range(round((start - (start if following is None else following)) / 1000)):
                yield histogram()
            following = start + 1000
            yield interval


def is_of(measurement: Mapping[str, Any], arm: ArmSummary) -> bool:
    step = arm["steps"][-1]
    made, load = measurement["arm"], measurement["level"]
    same_arm = all(made[name] == arm[name] for name in ("target", "strategy", "label"))
    return same_arm and all(load[name] == step[name] for name in ("users", "rate", "knobs"))


def cumulative(known: Sequence[tuple[ArmSummary, Seconds]]) -> go.Figure:
    figure = go.Figure()
    times: list[float] = []
    for arm, seconds in known:
        pages = merged(seconds)
        x = [pages.get_value_at_percentile(share) / 1e6 for share in SHARES]
        times += x
        figure.add_scatter(
            x=x,
            y=SHARES,
            name=arm_name(arm),
            mode="lines",
            line={**look_of([arm for arm, _ in known], arm), "width": 3},
            hovertemplate="%{y} % within %{x:.3s}s",
        )
    figure.update_layout(
        **LAYOUT,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        height=HEIGHT,
        legend={"orientation": "h", "y": -0.2},
        xaxis={"title": "seconds", "range": [0, max(times) * EDGE]},
        yaxis={"title": "% of pages", "range": [0, 101]},
    )
    make_room_for_legend(figure)
    if on_decades(figure, times, "xaxis"):
        figure.update_xaxes(range=[math.log10(min(times) / EDGE), math.log10(max(times) * EDGE)])
    return figure


def heat(known: Sequence[tuple[ArmSummary, Seconds]]) -> go.Figure:
    pages = merged(second for _, seconds in known for second in seconds)
    low, high = (
        math.log10(pages.get_value_at_percentile(0) / 1e6 / EDGE),
        math.log10(pages.get_max_value() / 1e6 * EDGE),
    )
    edges = [low + (high - low) * (number + 0.5) / BINS for number in range(BINS)]
    height = FRAME + STRIP * len(known)
    titles = [arm_name(arm) for arm, _ in known]
    figure = make_subplots(
        len(known), 1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=BETWEEN / (height - FRAME + BETWEEN)
    )
    for row, (arm, seconds) in enumerate(known, 1):
        binned = [in_bins(second, low, high) for second in seconds]
        figure.add_heatmap(
            x=list(range(len(seconds))),
            y=[10**edge for edge in edges],
            z=[[bins.get(number) for bins in binned] for number in range(BINS)],
            colorscale=[[0, f"{colour(arm['interface'])}22"], [1, colour(arm["interface"])]],
            showscale=False,
            hovertemplate="second %{x}: %{z} pages of about %{y:.3s}s<extra></extra>",
            row=row,
            col=1,
        )
        axis = figure.layout[f"yaxis{row if row > 1 else ''}"]
        axis.update(type="log", title="seconds", range=[low, high])
        on_decades(figure, [10**low, 10**high], f"yaxis{row if row > 1 else ''}")
    figure.update_layout(
        **LAYOUT,
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        height=height,
    )
    figure.update_xaxes(title="seconds of the window", row=len(known), col=1)
    return figure


def in_bins(second: HdrHistogram, low: float, high: float) -> Counter[int]:
    """Count the pages of a second in each bin between two powers of ten, in seconds."""
    bins: Counter[int] = Counter()
    for item in second.get_recorded_iterator():
        place = (math.log10(item.value_iterated_to / 1e6) - low) / (high - low)
        bins[min(BINS - 1, int(place * BINS))] += item.count_added_in_this_iter_step
    return bins
