"""A run's plots as pictures for slides: SVG or PNG, drawn by the Chrome or Chromium of this machine."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import plotly.io
from kaleido.errors import ChromeNotFoundError

from loadtests.errors import BadInput
from loadtests.model.summary import Summary
from loadtests.report import distributions, plots, waterfall

WIDTH, HEIGHT = 1280, 720  # CSS pixels: a slide
SHARPER = 2  # times as many pixels in a PNG


def write(summary: Summary, run: Path, form: str, to: Path) -> list[Path]:
    """Write a file for each plot of a run into a folder, which is made; return them. Raises BadInput."""
    drawn = list(chain(plots.drawn(summary), distributions.drawn(summary, run), waterfall.drawn(summary, run)))
    for plot in drawn:
        plot.figure.update_layout(
            title={"text": f"{plot.title}<br><sub>{summary['verdict']['headline']}</sub>", "x": 0.02},
            font={"size": 22},
            margin={"l": 100, "r": 40, "t": 120, "b": 90},
        )
    heights = [max(HEIGHT, plot.figure.layout.height) for plot in drawn]
    files = [to / f"{slug(plot.title)}.{form}" for plot in drawn]
    try:
        to.mkdir(parents=True, exist_ok=True)
        plotly.io.write_images([plot.figure for plot in drawn], files, form, SHARPER, WIDTH, heights)
    except OSError as error:
        raise BadInput(
            f"{form.upper()} must be a folder that can be written to; {to} is not ({error.strerror})"
        ) from error
    except ChromeNotFoundError as error:
        raise BadInput(
            f"{form.upper()} needs Chrome or Chromium to draw pictures, and this machine has none: install the "
            "package chromium, or open the report and press the camera above a plot."
        ) from error
    return files


def slug(title: str) -> str:
    """Return the title as a file's name: goodput-pages-s."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
