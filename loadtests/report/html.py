"""report.html: one file that holds all it needs and opens without a network."""

from __future__ import annotations

from pathlib import Path

import plotly.offline
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loadtests.model.summary import StepSummary, Summary
from loadtests.model.units import digits, duration, size
from loadtests.report.plots import arm_name, drawn
from loadtests.results import files


def render(summary: Summary) -> str:
    """Render the report. Everything from outside is escaped; the plots' JSON cannot end its script element."""
    environment = Environment(
        loader=PackageLoader("loadtests.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"digits": digits, "duration": duration, "size": size, "count": count}
    return environment.get_template("report.html").render(
        summary=summary,
        arm_name=arm_name,
        pages_failed=any(step["failures"] for arm in summary["arms"] for step in arm["steps"]),
        several_workers=any(by_worker(step) for arm in summary["arms"] for step in arm["steps"]),
        several_pages=any(len(step.get("by_page", ())) > 1 for arm in summary["arms"] for step in arm["steps"]),
        by_worker=by_worker,
        plots=[
            {
                "title": plot.title,
                "caption": plot.caption,
                "over": plot.axis.title,
                "json": Markup(plot.figure.to_json().replace("</", "<\\/")),  # noqa: S704
            }
            for plot in drawn(summary)
        ],
        plotly=Markup(plotly.offline.get_plotlyjs()),  # noqa: S704  # the library's own file
        failed=[check for check in summary["checks"] if not check["passed"]],
    )


def by_worker(step: StepSummary) -> bool:
    """Return whether the step has several workers to tell apart."""
    return len(step["inside"]["workers"]) > 1


def count(value: float | None) -> str:
    """Return a count, which a median may have made a fraction of."""
    return digits(value) if value is None or value % 1 else f"{value:,.0f}"


def write(summary: Summary, folder: Path) -> Path:
    """Write the report. Raises LabError."""
    path = folder / "report.html"
    files.write(path, render(summary))
    return path
