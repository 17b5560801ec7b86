"""Where the time of one user went: the page of each arm that was traced (TRACE=1), drawn from a run's raw data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from loadtests.analysis.spans import Row, read, waterfall
from loadtests.model.summary import ArmSummary, Summary
from loadtests.model.units import duration
from loadtests.report.distributions import BETWEEN, LAYOUT, UNREADABLE, is_of
from loadtests.report.plots import Drawn, arm_name, colour
from loadtests.results.raw import SPANS

ROW, FRAME, LEAST = 20, 90, 4  # pixels of a row, and around all of them; rows of an arm without any
STRENGTH = {"user waits": 0.45, "page": 1.0}  # of a bar's colour
OF_CALLS = 0.7
HATCHED, CLEAR = "/", "rgba(0,0,0,0)"
ROOM = 1.15  # times the longest, for what is written behind it
LARGEST = 8 * 1024**2  # bytes of a file that is read


def drawn(summary: Summary, folder: Path) -> Iterator[Drawn]:
    """Yield the waterfall, if pages were to be traced: one page of each arm at its highest load."""
    known = [(arm, rows_of(arm, folder)) for arm in summary["arms"] if arm["steps"]]
    if any(rows is not None for _, rows in known):
        found = [(arm, rows or []) for arm, rows in known]
        yield Drawn(
            "Where one user's time went (seconds since the user asked)",
            "The first page that began in the window at each arm's highest load: what its user waited for, and what "
            "happened meanwhile. Hatched: waits. The queue lasts until the page begins: under WSGI until a slot is "
            "free, under ASGI until the event loop comes to it. A call may begin with a wait for a thread or a "
            "connection of a full pool. thread, event loop: the page switches there, until it is back. Under ASGI "
            "Django goes on for a while after the answer.",
            "seconds since the user asked",
            figure(found),
            (
                ["arm", "", "begins after", "takes", "of it waiting"],
                [cells for arm, rows in found for cells in table(arm, rows)],
            ),
        )


def rows_of(arm: ArmSummary, folder: Path) -> list[Row] | None:
    """Return the rows of a page of the arm's highest step; none where no page was traced, None where none was to be."""
    rows = None
    for path in sorted((folder / "raw").glob(f"*{SPANS}")):
        with suppress(*UNREADABLE, RecursionError):
            measured = path.with_name(path.name.removesuffix(SPANS) + ".json")
            if not rows and is_of(json.loads(measured.read_text())["measurement"], arm):
                with path.open(encoding="utf-8", errors="replace") as lines:
                    rows = waterfall(read(lines.read(LARGEST).splitlines()))
    return rows


def missing(arm: ArmSummary, rows: Sequence[Row]) -> str:
    """Return what a reader should know of a trace that is not whole; empty if it is."""
    if not rows:
        return "no page was traced"
    return "" if any(row.name == "page" for row in rows) else "the target kept no spans"


def table(arm: ArmSummary, rows: Sequence[Row]) -> Iterator[list[str]]:
    for row in rows:
        failed = f" (failed: {row.failed})" if row.failed else ""
        yield [arm_name(arm), row.name + failed, duration(row.begins), duration(row.takes), duration(row.wait)]
    if why := missing(arm, rows):
        yield [arm_name(arm), why, "", "", ""]


def figure(known: Sequence[tuple[ArmSummary, Sequence[Row]]]) -> go.Figure:
    numbers = [max(LEAST, len(rows)) for _, rows in known]
    height = FRAME + ROW * sum(numbers) + BETWEEN * (len(known) - 1)
    drawing = make_subplots(
        len(known),
        1,
        shared_xaxes=True,
        row_heights=numbers,
        subplot_titles=[arm_name(arm) + (f": {why}" if (why := missing(arm, rows)) else "") for arm, rows in known],
        vertical_spacing=BETWEEN / (height - FRAME),
    )
    for number, (arm, rows) in enumerate(known, 1):
        names = [f"{row.name} ✗" if row.failed else row.name for row in rows]
        common = {"orientation": "h", "y": names, "row": number, "col": 1}
        drawing.add_bar(
            **common,
            base=[row.begins for row in rows],
            x=[row.wait for row in rows],
            marker={
                "pattern": {"shape": HATCHED, "fgcolor": colour(arm["interface"]), "fillmode": "overlay"},
                "color": CLEAR,
            },
            hoverinfo="skip",
        )
        drawing.add_bar(
            **common,
            base=[row.begins + row.wait for row in rows],
            x=[row.takes - row.wait for row in rows],
            marker={"color": colour(arm["interface"]), "opacity": [STRENGTH.get(row.name, OF_CALLS) for row in rows]},
            text=[duration(row.takes) for row in rows],
            textposition="outside",
            textfont={"size": 12},
            customdata=[[duration(row.begins), duration(row.takes), row.failed] for row in rows],
            hovertemplate="%{y}: begins after %{customdata[0]}, takes %{customdata[1]} %{customdata[2]}<extra></extra>",
        )
    drawing.update_layout(
        **LAYOUT,
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        height=height,
        barmode="overlay",
        showlegend=False,
    )
    drawing.update_yaxes(autorange="reversed", automargin=True, tickfont={"size": 12}, dtick=1)
    last = max((row.begins + row.takes for _, rows in known for row in rows), default=1.0)
    drawing.update_xaxes(range=[0, last * ROOM])
    drawing.update_xaxes(title="seconds since the user asked", row=len(known), col=1)
    return drawing
