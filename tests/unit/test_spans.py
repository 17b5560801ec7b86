"""Spans as lines of OTLP JSON → the rows of a waterfall, and the page that is traced."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from loadtests.analysis.spans import LONGEST_TEXT, MOST_ROWS, MOST_SPANS, Row, read, waterfall
from loadtests.generator.record import Recorder
from loadtests.generator.trace import Trace
from loadtests.model.summary import Summary
from loadtests.report import waterfall as drawing
from loadtests.results import raw
from loadtests.results.summary import summarize
from tests.unit.factories import ASGI, TARGETS, WSGI, measured, run

ASKED = 1_795_855_000 * 10**9
STEPS = [measured(arm, users, 10.0) for users in (10, 100) for arm in (WSGI, ASGI)]


def span(name: str, began: float, ended: float, key: str, parent: str = "", **more: Any) -> dict[str, Any]:
    """As OTLP JSON has it, with seconds since the user asked."""
    times = {"startTimeUnixNano": str(ASKED + round(began * 1e9)), "endTimeUnixNano": str(ASKED + round(ended * 1e9))}
    return {"traceId": "t", "name": name, "spanId": key, "parentSpanId": parent, **times, **more}


def line(*spans: Any) -> str:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})


USER = span("user", 0, 5, "u")
PAGE = span("page", 3, 4.5, "p", "u")
CALLS = [
    span("call", 3.5, 4.5, "b", "p"),
    span("call", 3.25, 4.25, "a", "p"),
    span("wait for a thread", 3.5, 4, "w", "b"),
]
LINES = [line(*CALLS), line(PAGE), line(USER)]


def test_the_users_wait_begins_with_the_queue_and_calls_stand_in_the_order_in_which_they_began() -> None:
    assert waterfall(read(LINES)) == [
        Row("user waits", 0, 5),
        Row("queue", 0, 3, 3),
        Row("page", 3, 1.5),
        Row("call 1", 3.25, 1),
        Row("call 2", 3.5, 1, 0.5),
    ]


def test_a_clock_that_lags_behind_makes_no_negative_queue() -> None:
    rows = waterfall(read([line(USER, span("page", -0.2, 4, "p", "u"))]))
    assert rows[1:] == [Row("queue", 0, 0, 0), Row("page", -0.2, 4.2)]


def test_what_failed_says_why() -> None:
    failed = span("call", 3.5, 4.5, "c", "p", status={"code": 2, "message": "the api answered 503"})
    assert waterfall(read([line(USER, PAGE, failed)]))[-1].failed == "the api answered 503"


def test_without_a_user_there_is_nothing_to_draw() -> None:
    assert waterfall(read([line(PAGE, *CALLS)])) == waterfall([]) == []


def test_what_is_too_much_to_draw_is_one_row() -> None:
    calls = [span("call", 3 + number / 100, 4, str(number), "p") for number in range(100)]
    rows = waterfall(read([line(USER, PAGE, *calls)]))
    assert len(rows) == MOST_ROWS
    assert rows[-1].name == f"{103 - MOST_ROWS + 1} more"
    assert rows[-1].begins == pytest.approx(rows[-2].begins + 0.01)
    assert rows[-1].begins + rows[-1].takes == pytest.approx(4)


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "not JSON",
        "[]",
        "3",
        '"resourceSpans"',
        "[" * 100_000,
        json.dumps({"resourceSpans": [None]}),
        line("call"),
        line({**USER, "startTimeUnixNano": "soon"}),
        line({**USER, "startTimeUnixNano": "9" * 10_000}),
        line({**USER, "startTimeUnixNano": math.inf}),
        line({**PAGE, "endTimeUnixNano": 10**4000}),
        line({**PAGE, "endTimeUnixNano": None}),
        line({**PAGE, "status": "bad"}),
        line(span("call", -1e6, 1e9, "x", "p")),
        line(span("user", 0, 5, "x", "p")),
    ],
)
def test_a_line_that_makes_no_sense_costs_nothing_but_itself(hostile: str) -> None:
    rows = waterfall(read([hostile, *LINES, LINES[0][:-9]]))
    assert rows[:3] == [Row("user waits", 0, 5), Row("queue", 0, 3, 3), Row("page", 3, 1.5)]
    assert rows[-2].name in {"call 1", "call 2"}


def test_a_user_who_waited_without_end_is_drawn_as_one_who_waited_for_long() -> None:
    endless = {**USER, "startTimeUnixNano": "0", "endTimeUnixNano": "9" * 4000}
    assert waterfall(read([line(endless), *LINES]))[0].takes > 1e10


def test_neither_names_nor_numbers_of_spans_are_taken_without_bound() -> None:
    many = [span("<img src=x onerror=alert(1)>" + "x" * 999, 3, 4, "x", "p")] * (MOST_SPANS + 5)
    found = read([LINES[2], line(*many)])
    assert len(found) == MOST_SPANS
    assert len(found[1].name) <= LONGEST_TEXT
    assert not {*"<>&"} & {*found[1].name}


# --- the one page -----------------------------------------------------------------------------


def test_the_first_page_that_begins_inside_the_window_is_traced_and_no_other() -> None:
    trace, recorder = Trace(), Recorder()
    assert trace.begin(recorder) == trace.begin(None) == {}, "in the warm-up"
    recorder.open()
    header = trace.begin(recorder)["traceparent"]
    assert header == f"00-{trace.trace}-{trace.root}-01"
    assert trace.begin(recorder) == {}
    late = Trace()
    recorder.close()
    assert late.begin(recorder) == {}, "after the window"


def test_a_page_that_never_ends_leaves_no_trace_and_one_that_fails_says_why() -> None:
    trace, recorder = Trace(), Recorder()
    recorder.open()
    trace.begin(recorder)
    assert trace.lines(TARGETS["wsgi"]) == []
    trace.end("no answer: the connection was reset")
    [user] = read(trace.lines(TARGETS["wsgi"]))
    assert (user.id, user.parent, user.failed) == (trace.root, "", "no answer: the connection was reset")
    assert user.ended >= user.began > 0


# --- the report -------------------------------------------------------------------------------


@pytest.fixture
def result() -> Summary:
    return summarize(run(*STEPS))


def keep(folder: Path, lines: list[str], of: str) -> None:
    (folder / "raw").mkdir(exist_ok=True)
    for step in STEPS:
        raw.keep(folder, step, [])
        if step.measurement.arm.target == of:
            raw.keep_spans(folder, step.measurement, lines)


def test_an_arm_is_drawn_in_its_colour_with_a_table_of_the_same_rows(result: Summary, tmp_path: Path) -> None:
    keep(tmp_path, LINES, "wsgi")
    keep(tmp_path, [LINES[2]], "asgi")
    [plot] = drawing.drawn(result, tmp_path)
    assert [bar.marker.color for bar in plot.figure.data[1::2]] == ["#0072B2", "#D55E00"]
    assert list(plot.figure.data[1].y) == ["user waits", "queue", "page", "call 1", "call 2"]
    assert ["WSGI threadpool (10 slots)", "queue", "0 s", "3.00 s", "3.00 s"] in plot.table[1]
    assert plot.table[1][-1][:2] == ["ASGI gather (no slots)", "the target kept no spans"]
    assert len(plot.caption) > 80


def test_where_no_page_was_traced_the_report_says_so(result: Summary, tmp_path: Path) -> None:
    keep(tmp_path, [], "wsgi")
    [plot] = drawing.drawn(result, tmp_path)
    assert [title.text.partition(": ")[2] for title in plot.figure.layout.annotations] == ["no page was traced"] * 2


def test_without_traces_nothing_is_drawn(result: Summary, tmp_path: Path) -> None:
    assert list(drawing.drawn(result, tmp_path)) == []
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / f"stray{raw.SPANS}").write_bytes(b"\xff\x00")
    assert list(drawing.drawn(result, tmp_path)) == []
