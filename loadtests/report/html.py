"""report.html: one file that holds all it needs and opens without a network."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import plotly.offline
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loadtests.errors import BadInput
from loadtests.model.experiment import spoken
from loadtests.model.knobs import KNOBS
from loadtests.model.settings import Settings
from loadtests.model.summary import StepSummary, Summary
from loadtests.model.units import digits, duration, size
from loadtests.report import distributions, plots, waterfall
from loadtests.report.plots import arm_name
from loadtests.report.terminal import figures
from loadtests.results import files


def render(summary: Summary, more: Iterable[plots.Drawn] = ()) -> str:
    """Render the report, with more plots than the summary has figures for.

    Everything from outside is escaped; the plots' JSON cannot end its script element.
    """
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
        several_workers=any([*by_worker(step)] for arm in summary["arms"] for step in arm["steps"]),
        several_pages=any(len(step.get("by_page", ())) > 1 for arm in summary["arms"] for step in arm["steps"]),
        by_worker=by_worker,
        plots=[
            {
                "title": plot.title,
                "caption": plot.caption,
                "over": plot.over,
                "table": plot.table,
                "json": Markup(plot.figure.to_json().replace("</", "<\\/")),  # noqa: S704
            }
            for plot in (*plots.drawn(summary), *more)
        ],
        conditions=" · ".join(conditions(summary)),
        figures=figures(summary["verdict"]),
        packed=packed(),
        failed=[check for check in summary["checks"] if not check["passed"]],
    )


def conditions(summary: Summary) -> Iterator[str]:
    """Yield under what the figures were measured, as far as it is known."""
    manifest = summary["manifest"]
    calls_known = all(arm["strategy"] != "pages" for arm in summary["arms"])
    turned = any(step["knobs"] for arm in summary["arms"] for step in arm["steps"])
    if calls_known and not turned:  # else each load says it
        with suppress(KeyError, TypeError, ValueError, BadInput):
            yield Settings(**{knob.name: manifest["knobs"][knob.name] for knob in KNOBS}).words
    targets = manifest.get("targets", {})
    for name in dict.fromkeys(arm["target"] for arm in summary["arms"]):
        target = targets.get(name, {})
        workers, threads = target.get("workers"), target.get("threads")
        served = f", {workers} × {threads} threads" if threads else f", {workers} worker{'s' if workers != 1 else ''}"
        yield f"{spoken(name)}: {str(target.get('server', 'unknown')).partition(' (')[0]}{served if workers else ''}"
    cores = manifest.get("machine", {}).get("cores")
    nodes = manifest.get("services", {}).get("nodes", {})
    where = {"docker": "Docker", "process": "local processes"}.get(summary["runtime"], summary["runtime"])
    apart = ", ".join(f"{name} {node['cores']:g} cores" for name, node in nodes.items())
    yield f"{where}: {apart}" if apart else f"{where}, {cores} cores" if cores else where
    versions = {target.get("packages", {}).get("django") for target in targets.values()} - {None}
    yield from (f"Django {version}" for version in sorted(versions))
    if started := manifest.get("started"):
        yield f"{datetime.fromisoformat(started):%-d %b %Y}"


@lru_cache(maxsize=1)
def packed() -> tuple[Markup, int]:
    """Return Plotly, compressed, in 85 characters of which none ends a script element; and how many bytes that are."""
    script = gzip.compress(plotly.offline.get_plotlyjs().encode(), mtime=0)
    return Markup(base64.b85encode(script, pad=True).decode()), len(script)  # noqa: S704  # it has no "</"


def by_worker(step: StepSummary) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Yield whose workers they are, and each with what it did, of the target and of the api where it has several."""
    for whose, workers, what in (("", "workers", "pages"), ("its api", "api_workers", "calls")):
        if len(each := step["inside"].get(workers, ())) > 1:
            yield whose, [{**one, "done": one[what], "in_flight": one[f"{what}_in_flight"]} for one in each]


def count(value: float | None) -> str:
    """Return a count, which a median may have made a fraction of."""
    return digits(value) if value is None or value % 1 else f"{value:,.0f}"


def write(summary: Summary, folder: Path) -> Path:
    """Write the report. Raises LabError."""
    path = folder / "report.html"
    files.write(path, render(summary, chain(distributions.drawn(summary, folder), waterfall.drawn(summary, folder))))
    return path
