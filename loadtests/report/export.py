"""A run's figures for other programs: CSV and Markdown, a row for each arm and step. Standard library alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from loadtests.model.experiment import arm_words
from loadtests.model.summary import Summary
from loadtests.model.units import digits, duration

COLUMNS = (
    *("experiment", "target", "strategy", "label", "slots", "load", "goodput", "goodput_low", "goodput_high"),
    *("predicted", "p50", "p95", "p99", "pages", "failures", "cpu_per_page", "memory"),
)
HEADINGS = ("arm", "load", "pages/s", "predicted", "p50", "p95", "p99", "failed")


def as_csv(summary: Summary) -> str:
    """Return goodput in pages/s, times in seconds and memory in bytes; empty where a value is not known."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for arm in summary["arms"]:
        for step in arm["steps"]:
            times, inside = step["response_time"], step["inside"]
            table.writerow(
                (
                    *(summary["experiment"], arm["target"], arm["strategy"], arm["label"], arm["slots"], step["name"]),
                    *(step["goodput"], *(step["goodput_interval"] or (None, None)), step["predicted"]["goodput"]),
                    *(times["p50"], times["p95"], times["p99"], step["pages"], step["failures"]),
                    *(step["cpu_per_page"], inside["memory"]),
                )
            )
    return text.getvalue()


def as_markdown(summary: Summary) -> str:
    return "\n".join((*lines(summary), ""))


def lines(summary: Summary) -> Iterator[str]:
    verdict = summary["verdict"]
    yield f"**{verdict['status'].upper()}: {verdict['sentence']}**"
    yield ""
    yield f"| {' | '.join(HEADINGS)} |"
    yield f"|{'---|' * 2}{'---:|' * (len(HEADINGS) - 2)}"
    for arm in summary["arms"]:
        for step in arm["steps"]:
            cells = (
                arm_words(arm["target"], arm["strategy"], arm["label"]),
                step["name"],
                digits(step["goodput"]),
                digits(step["predicted"]["goodput"]),
                *(duration(step["response_time"][name]) for name in ("p50", "p95", "p99")),
                str(step["failures"]),
            )
            yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"`{summary['manifest']['command']}`"


FORMS = {"csv": as_csv, "markdown": as_markdown}
