from __future__ import annotations

import io
import json
import os
import re
from collections import Counter
from dataclasses import replace

import plotly.graph_objects as go
import pytest
from rich.console import Console

from loadtests.analysis.histograms import histogram
from loadtests.experiments import find
from loadtests.model.server_metrics import Inside, Worker
from loadtests.model.summary import Summary
from loadtests.report import html, terminal
from loadtests.report.plots import PLOTS, drawn, on_decades
from loadtests.report.terminal import Column, Table
from loadtests.results.summary import summarize
from tests.unit.factories import ASGI, INSIDE, MANIFEST, WSGI, good_run, measured, run


@pytest.fixture(scope="module")
def result() -> Summary:
    return summarize(good_run())


def test_the_report_asks_nothing_of_another_host(result: Summary) -> None:
    page = html.render(result)
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", page)
    assert "@import" not in page.partition("<script>")[0]


def test_the_report_shows_verdict_command_captions_and_every_step(result: Summary) -> None:
    page = html.render(result)
    assert f'<p class="headline">{result["verdict"]["headline"]}</p>' in page
    assert terminal.figures(result["verdict"]) in page
    assert "make loadtest" in page
    for plot in (PLOTS[title] for title in result["plots"]):
        assert plot.caption in page
    figures = page.partition("<h2>The figures</h2>")[2]
    assert figures.count("<tr><td>WSGI threadpool (10 slots)</td>") == 3  # two steps, and what the arm costs


def test_a_table_stands_behind_each_plot_with_units_and_what_was_predicted(result: Summary) -> None:
    for plot in drawn(result):
        headings, rows = plot.table
        assert headings == ["", "10 users", "100 users"], plot.title
        assert {row[0].split()[0] for row in rows} == {"WSGI", "ASGI"}, plot.title
        assert all(len(row) == len(headings) for row in rows)
    goodput = next(plot for plot in drawn(result) if plot.title == "Goodput (pages/s)")
    assert re.fullmatch(r"10\.0 pages/s \(predicted \d+\.\d+ pages/s\)", goodput.table[1][0][1])


def test_what_nobody_predicted_or_measured_is_a_dash() -> None:
    times = histogram()
    times.record_value(400_000)
    failed = {"failures": Counter({"504": 7}), "failure_times": times}
    result = summarize(run(*(measured(arm, 20, 0.0, **failed) for arm in (WSGI, ASGI))))
    for arm in result["arms"]:
        arm["steps"][0]["predicted"] = dict.fromkeys(arm["steps"][0]["predicted"])
    page = html.render(result)
    assert "None" not in page.partition("<h2>The figures</h2>")[2].partition("</table>")[0]
    assert page.count("<td>7</td><td>400 ms</td>") == 2
    assert "failed after" not in html.render(summarize(good_run()))


def test_what_came_from_outside_is_escaped() -> None:
    hostile = "</script><script>alert(1)</script>"
    page = html.render(summarize(good_run(manifest={**MANIFEST, "command": hostile, "warnings": [hostile]})))
    assert hostile not in page


def test_an_incomplete_run_is_marked() -> None:
    page = html.render(summarize(run(planned=8, stopped_because="it was interrupted.")))
    assert "incomplete" in page


def test_every_plot_shows_both_targets(result: Summary) -> None:
    for plot in drawn(result):
        names = " ".join(trace["name"] for trace in json.loads(plot.figure.to_json())["data"])
        assert "WSGI" in names
        assert "ASGI" in names


def test_what_nobody_knows_has_no_line_and_no_place_in_the_legend() -> None:
    blind = Inside(pages_in_flight=5.0, calls_in_flight=None)
    both = [measured(arm, users, 9.0, inside=blind) for users in (10, 20) for arm in (WSGI, ASGI)]
    [plot] = [plot for plot in drawn(summarize(run(*both))) if plot.title == "External concurrency (in flight)"]
    names = {trace["name"] for trace in json.loads(plot.figure.to_json())["data"]}
    assert names
    assert not any("calls at the api" in name for name in names)


@pytest.mark.parametrize(
    ("headline", "sentence", "rest"),
    [
        ("A wins", "A wins: by 2 to 1.", "By 2 to 1."),
        ("A wins, but less than predicted", "A wins: by 2 to 1. But b.", "By 2 to 1. But b."),
        ("No answer: machine", "No answer: machine in x: y.", "In x: y."),
        ("Incomplete", "Incomplete, 1 of 2: why.", "1 of 2: why."),
    ],
)
def test_what_follows_a_headline_does_not_say_it_again(headline: str, sentence: str, rest: str) -> None:
    assert terminal.figures({"status": "invalid", "headline": headline, "sentence": sentence, "key": []}) == rest


def shown(result: Summary, width: int) -> list[str]:
    out = io.StringIO()
    terminal.show(result, Console(width=width, file=out))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [1, 20, 30, 40, 60, 80, 200])
def test_a_terminal_of_any_width_shows_the_verdict_and_whole_figures(result: Summary, width: int) -> None:
    lines = shown(result, width)
    text = "".join(lines)
    assert max(map(len, lines)) <= width
    assert "…" not in text
    assert "CONFIRMED" in text
    if width >= 20:  # else a figure stands on several lines
        words = " ".join(lines).split()
        for figure in ("97.0", "9.91", "10.0"):
            assert any(word.startswith(figure) for word in words), figure


def test_eighty_columns_are_enough_for_all_of_them(result: Summary) -> None:
    heading = next(line for line in shown(result, 80) if line.startswith("arm"))
    assert heading.split() == ["arm", "load", "pages/s", "ratio", "predicted", "p50", "p95", "failed"]
    assert not any("Left out" in line for line in shown(result, 80))


def test_columns_leave_in_a_stated_order() -> None:
    columns = [Column("name"), Column("a", optional=2), Column("b", optional=1), Column("c")]
    rows = [["first", "111", "222", "333"]]
    printed = {}
    for width in range(5, 18):
        out = io.StringIO()
        Console(width=width, file=out).print(Table(columns, rows))
        printed[width] = " ".join(out.getvalue().split())
    assert printed[17].startswith("name a b c first 111 222 333")
    assert printed[16].startswith("name a c first 111 333 Left out, for want of width: b.")
    assert printed[12].startswith("name c first 333 Left out, for want of width: b, a.")
    assert printed[8].startswith("first: c 333 Left out")


def test_only_the_first_column_is_broken_and_between_words() -> None:
    out = io.StringIO()
    Console(width=18, file=out).print(
        Table([Column("arm"), Column("pages/s", right=True)], [["wsgi threadpool", "9.87"]])
    )
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "arm        pages/s",
        "wsgi          9.87",
        "threadpool",
    ]


@pytest.mark.parametrize("columns", ["0", "40", "80"])
def test_a_pipe_is_not_wrapped_and_has_no_blanks_at_the_end(
    columns: str, result: Summary, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", columns)
    terminal.show(result, terminal.console_for_people())
    lines = capsys.readouterr().out.splitlines()
    assert set(terminal.key_figures(result["verdict"])) <= set(lines)
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(("term", "columns", "width"), [("xterm", "0", 80), ("dumb", "40", 40), ("xterm", "200", 200)])
def test_a_terminal_is_as_wide_as_it_says(term: str, columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TERM", term), ("COLUMNS", columns), ("LINES", "0"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    assert terminal.console_for_people().width == width


def test_what_a_summary_says_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.console_for_people().print("[bold]a call failed[/bold] :warning:")
    assert capsys.readouterr().out == "[bold]a call failed[/bold] :warning:\n"


# --- plots ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("users", [(10,), (10, 100)], ids=["bars", "lines"])
def test_a_caption_describes_what_is_drawn(users: tuple[int, ...]) -> None:
    inside = replace(INSIDE, api_calls_answered=9, api_calls_abandoned=5, background_started=9, background_finished=5)
    result = summarize(run(*(measured(arm, number, 10.0, inside=inside) for number in users for arm in (WSGI, ASGI))))
    for title in PLOTS:
        for plot in drawn({**result, "plots": [title]}):
            traces = json.loads(plot.figure.to_json())["data"]
            lines = [trace["line"].get("dash") for trace in traces if trace.get("line")]
            logarithmic = plot.figure.layout.yaxis.type == "log"
            widths = {trace["line"].get("width") for trace in traces if trace.get("line")}
            assert ("thin:" in plot.caption.lower()) <= (1.5 in widths), title
            assert ("dotted" in plot.caption.lower()) <= ("dot" in lines), title
            assert logarithmic <= ("logarithmic" in plot.caption), title
            assert ("Short grey line" in plot.caption) == any(
                trace.get("marker", {}).get("symbol") == "line-ns" for trace in traces
            ), title


def test_a_bars_figure_stands_beside_its_arm_and_not_where_the_prediction_is_drawn() -> None:
    result = summarize(run(measured(WSGI, 10, 9.0), measured(ASGI, 10, 9.5)))
    [goodput] = [plot for plot in drawn(result) if plot.title == "Goodput (pages/s)"]
    traces = json.loads(goodput.figure.to_json())["data"]
    assert [trace["y"] for trace in traces if trace["type"] == "bar"] == [
        ["WSGI<br><b>9.00 pages/s</b>"],
        ["ASGI<br><b>9.50 pages/s</b>"],
    ]
    assert not any("text" in trace for trace in traces)


def test_the_table_behind_the_first_bytes_has_a_column_for_each_arm() -> None:
    result = summarize(good_run())
    [plot] = drawn(
        {
            **result,
            "plots": ["First byte and last"],
            "arms": [{**arm, "steps": arm["steps"][-1:]} for arm in result["arms"]],
        }
    )
    headings, rows = plot.table
    assert headings == ["", "WSGI", "ASGI"]
    assert [row[0] for row in rows] == ["first byte", "last byte"]
    assert all(len(row) == 3 for row in rows)


def test_a_colour_is_an_interface_and_a_dash_an_arm() -> None:
    arms = (WSGI, replace(WSGI, label="more"), ASGI, replace(ASGI, label="other"))
    both = [measured(arm, users, 9.0) for users in (10, 20) for arm in arms]
    shown = drawn(
        {**summarize(run(*both, experiment=replace(find("external-concurrency"), arms=arms))), "plots": ["CPU"]}
    )
    looks = [(trace.line.color, trace.line.dash) for trace in next(iter(shown)).figure.data]
    assert looks == [("#0072B2", "solid"), ("#0072B2", "dash"), ("#D55E00", "solid"), ("#D55E00", "dash")]


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        ([0.1, 0.5], None),
        ([], None),
        ([0.04, 1.2], ["10 ms", "20 ms", "50 ms", "100 ms", "200 ms", "500 ms", "1 s", "2 s", "5 s", "10 s"]),
        ([0.001, 100.0], ["1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"]),
    ],
)
def test_times_that_span_a_decade_have_a_logarithmic_axis(seconds: list[float], ticks: list[str] | None) -> None:
    figure = go.Figure()
    assert on_decades(figure, seconds) == (ticks is not None)
    assert (figure.layout.yaxis.type == "log") == (ticks is not None)
    assert list(figure.layout.yaxis.ticktext or []) == (ticks or [])


def test_milliseconds_are_shown_as_milliseconds() -> None:
    quick = run(*(measured(arm, 10, 100.0, took=0.004) for arm in (WSGI, ASGI)))
    result = summarize(quick)
    assert any("4.00 ms" in line for line in shown(result, 80))
    assert "<td>4.00 ms</td>" in html.render(result)
    [times] = [plot for plot in drawn(result) if plot.title == "Response time (seconds)"]
    bars = [trace.y for trace in times.figure.data if trace.type == "bar"]
    assert bars == [("WSGI<br><b>4.00 ms</b>",), ("ASGI<br><b>4.00 ms</b>",)]


# --- workers --------------------------------------------------------------------------------------


def test_workers_stand_in_the_report_where_there_are_several() -> None:
    of_target = (Worker("11", 90, 4, 4, late=0.5), Worker("12", 8, 0.5, 1, late=0.001))
    of_api = (Worker("21", 500, 30, 40, ended=True), Worker("22", 480, 29, 40))
    several = replace(INSIDE, workers=of_target, api_workers=of_api, workers_started=0)
    page = html.render(summarize(run(measured(WSGI, 10, 9.8, inside=several), measured(ASGI, 10, 10.0))))
    assert "<td>90 · 8</td><td>4 · 0.500</td><td>500 ms · 1.00 ms</td><td>0</td>" in page
    assert "(10 slots), its api</td><td>10 users</td><td>500 · 480</td><td>30 · 29</td><td>– · –</td><td>1</td>" in page
    assert "<h2>Workers</h2>" not in html.render(summarize(good_run()))


def test_the_report_says_on_which_nodes_the_services_ran() -> None:
    nodes = {"first": {"cores": 8.0}, "second": {"cores": 3.5}}
    manifest = {**MANIFEST, "runtime": "swarm", "services": {"nodes": nodes}}
    assert "swarm: first 8 cores, second 3.5 cores" in html.render(summarize(good_run(manifest=manifest)))
