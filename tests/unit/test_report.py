from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from rich.console import Console

from loadtests.record import histogram
from loadtests.report import html, terminal
from loadtests.report.plots import PLOTS, drawn
from loadtests.report.summary import summarize
from tests.unit.factories import ASGI, MANIFEST, WSGI, good_run, measured, run


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return summarize(good_run())


def test_the_report_asks_nothing_of_another_host(result: dict[str, Any]) -> None:
    page = html.render(result)
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", page)
    assert "@import" not in page.partition("<script>")[0]


def test_the_report_shows_verdict_command_captions_and_every_step(result: dict[str, Any]) -> None:
    page = html.render(result)
    assert result["verdict"]["sentence"] in page
    assert "make loadtest" in page
    for plot in (PLOTS[title] for title in result["plots"]):
        assert plot.caption in page
    assert page.count("<tr><td>wsgi · threadpool (10 slots)</td>") == 3  # two steps, and what the arm costs


def test_what_nobody_predicted_or_measured_is_a_dash() -> None:
    times = histogram()
    times.record_value(400_000)
    failed = {"failures": Counter({"504": 7}), "failure_times": times}
    result = summarize(run(*(measured(arm, 20, 0.0, **failed) for arm in (WSGI, ASGI))))
    for arm in result["arms"]:
        arm["steps"][0]["predicted"] = dict.fromkeys(arm["steps"][0]["predicted"])
    page = html.render(result)
    assert "None" not in page.partition("<h2>The figures</h2>")[2].partition("</table>")[0]
    assert page.count("<td>7</td><td>0.400</td>") == 2
    assert "failed after s" not in html.render(summarize(good_run()))


def test_what_came_from_outside_is_escaped() -> None:
    hostile = "</script><script>alert(1)</script>"
    page = html.render(summarize(good_run(manifest={**MANIFEST, "command": hostile, "warnings": [hostile]})))
    assert hostile not in page


def test_an_incomplete_run_is_marked() -> None:
    page = html.render(summarize(run(planned=8, stopped_because="it was interrupted.")))
    assert "incomplete" in page


def test_every_plot_shows_both_targets(result: dict[str, Any]) -> None:
    for plot in drawn(result):
        names = " ".join(trace["name"] for trace in json.loads(plot.figure.to_json())["data"])
        assert "wsgi" in names
        assert "asgi" in names


def test_the_table_fits_into_eighty_columns(result: dict[str, Any]) -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    terminal.show(result, console)
    console.file.close()
    text = console.export_text()
    assert "…" not in text
    assert "CONFIRMED" in text
    assert max(len(line) for line in text.splitlines()) <= 80
