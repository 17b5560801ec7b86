"""The table and the verdict, as the terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {"confirmed": "bold green", "not confirmed": "bold yellow", "invalid": "bold red"}


def table(summary: Mapping[str, Any]) -> Table:
    """Fits into 80 columns."""
    grid = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim")
    grid.add_column("arm", overflow="fold")
    for heading in ("slots", "load", "pages/s", "predicted", "p50 s", "p95 s", "p99 s", "failed"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for arm in summary["arms"]:
        for step in arm["steps"]:
            times = (step["response_time"][name] for name in ("p50", "p95", "p99"))
            grid.add_row(
                f"{arm['target']} {arm['label'] or arm['strategy'].replace('_', ' ')}",
                str(arm["slots"] or "–"),
                step["name"].partition(", ")[2] or step["name"],
                f"{step['goodput']:.1f}",
                figure(step["predicted"]["goodput"], digits=1),
                *(figure(time, digits=2) for time in times),
                str(step["failures"]),
            )
    return grid


def probed(probe: Mapping[str, Any]) -> Table:
    grid = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim")
    grid.add_column("")
    for heading in probe["headings"]:
        grid.add_column(heading, justify="right")
    for row in probe["rows"]:
        grid.add_row(row["name"], *row["figures"])
    return grid


def figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def show(summary: Mapping[str, Any], console: Console) -> None:
    console.print()
    console.print(probed(summary["probe"]) if summary["probe"] else table(summary))
    console.print()
    status = summary["verdict"]["status"]
    console.print(Text(status.upper(), style=STYLES[status]))
    console.print(Text(summary["verdict"]["sentence"]))
    for finding in summary["findings"]:
        console.print(Text(f"· {finding}"))
    for warning in summary["manifest"].get("warnings", ()):
        console.print(Text(f"Note: {warning}", style="dim"))
