from __future__ import annotations

import io

import pytest
from rich.console import Console

from loadtests.generator import progress
from loadtests.generator.progress import Progress, recent, sparkline
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import Measurement
from tests.unit.factories import ASGI, SETTINGS, WSGI

STEPS = [
    Measurement(WSGI, LoadLevel(users=100), SETTINGS, 0, warm_up=2.0, window=8.0, turn=1.0),
    Measurement(ASGI, LoadLevel(users=100), SETTINGS, 0, warm_up=2.0, window=18.0, turn=1.0),
]


class Clock:
    """A clock that goes when a test lets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(progress, "time", own)
    return own


def nothing() -> str:
    return "12 pages"


def begun(console: Console) -> Progress:
    return Progress(console, STEPS, {"wsgi": "WSGI", "asgi": "ASGI"}, {STEPS[0].name: 10.0, STEPS[1].name: 99.0})


def no_pages(_: float) -> list[float]:
    return []


def shown(width: int, clock: Clock, *, lengthened: float = 0.0) -> str:
    """The line in a terminal of this width, in the middle of the first step."""
    console = Console(width=width, force_terminal=True, color_system=None, legacy_windows=False, file=io.StringIO())
    bar = begun(console)
    bar.begin(STEPS[0], no_pages)
    clock.pass_(5)
    if lengthened:
        bar.lengthen(lengthened)
    return bar.line("12 pages").plain


def test_a_step_that_goes_as_planned_counts_down_to_nothing(clock: Clock) -> None:
    bar = begun(Console(file=io.StringIO()))
    assert (bar.left, bar.share) == (30, 0)
    bar.begin(STEPS[0], no_pages)
    bar.wait(10, clock.pass_, nothing)
    assert bar.left == pytest.approx(20)
    assert bar.share == pytest.approx(1 / 3)
    bar.begin(STEPS[1], no_pages)
    bar.wait(20, clock.pass_, nothing)
    assert (bar.left, bar.share) == pytest.approx((0, 1))


def test_a_step_that_is_lengthened_makes_the_plan_longer(clock: Clock) -> None:
    bar = begun(Console(file=io.StringIO()))
    bar.begin(STEPS[0], no_pages)
    bar.lengthen(10)
    bar.lengthen(2)
    assert bar.left == 42


def test_in_a_pipe_each_step_is_a_line_with_its_figures_and_what_is_left(clock: Clock) -> None:
    out = io.StringIO()
    with begun(Console(file=out, width=100)) as bar:
        for step, goodput in zip(STEPS, (9.99, 97.7), strict=True):
            bar.begin(step, no_pages)
            bar.wait(step.seconds, clock.pass_, nothing)
            bar.ended(goodput, {"p50": 1.01, "p95": None})
    assert out.getvalue().splitlines() == [
        "1/2 WSGI threadpool, 100 users: 9.99 pages/s, median 1.01 s; 0:20 left",
        "2/2 ASGI gather, 100 users: 97.7 pages/s, median 1.01 s; 0:00 left",
    ]


def table(bar: Progress, *, lines: int = 20, width: int = 100, colour: bool = False) -> str:
    """What a terminal of this size shows."""
    console = Console(width=width, force_terminal=True, color_system="truecolor" if colour else None)
    with console.capture() as printed:
        console.print(bar.table(lines))
    return printed.get()


def test_the_table_fills_while_steps_are_measured(clock: Clock) -> None:
    bar = begun(Console(file=io.StringIO(), force_terminal=True, width=100))
    assert "wsgi" not in table(bar), "arms have the names that people say"
    bar.begin(STEPS[0], lambda seconds: [0.5] * round(10 * seconds))
    bar.wait(3, clock.pass_, nothing)
    wsgi, asgi = table(bar).splitlines()[1:]
    assert wsgi.split() == ["▸", "WSGI", "threadpool", "100", "users", "10.0", "10.0", "500", "ms", "–", "███"]
    assert asgi.split() == ["ASGI", "gather", "100", "users", "99.0"]
    bar.ended(9.87, {"p50": 10.1, "p95": 10.2})
    bar.begin(STEPS[1], no_pages)
    wsgi, asgi = table(bar).splitlines()[1:]
    assert wsgi.split()[:-1] == ["WSGI", "threadpool", "100", "users", "9.87", "10.0", "10.1", "s", "10.2", "s"]
    assert asgi.split()[0] == "▸"


def test_the_current_p95_waits_for_pages_enough(clock: Clock) -> None:
    assert recent([0.1] * 99)["p95"] is None
    assert recent([0.1] * 94 + [0.9] * 6)["p95"] == 0.9
    assert recent([]) == {"p50": None, "p95": None}


def test_what_is_far_below_the_prediction_is_red_and_nothing_else(clock: Clock) -> None:
    for measured, red in ((5.0, True), (9.9, False)):
        bar = begun(Console(file=io.StringIO()))
        bar.begin(STEPS[0], no_pages)
        bar.ended(measured, {"p50": 1.0, "p95": 1.0})
        bar.begin(STEPS[1], no_pages)
        assert ("\x1b[1;31m" in table(bar, colour=True)) == red


def test_a_sparkline_is_as_high_as_its_share_of_the_highest() -> None:
    assert sparkline([0, 5, 10]) == "▁▅█"
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "▁▁"


@pytest.mark.parametrize("lines", [-2, 0, 1])
def test_a_terminal_of_few_lines_shows_the_step_that_is_measured(lines: int, clock: Clock) -> None:
    bar = begun(Console(file=io.StringIO()))
    bar.begin(STEPS[0], no_pages)
    bar.begin(STEPS[1], no_pages)
    assert [row.split()[0] for row in table(bar, lines=lines).splitlines()[1:]] == ["▸"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_never_needs_a_second_line_for_a_row(width: int, clock: Clock) -> None:
    bar = begun(Console(file=io.StringIO()))
    bar.begin(STEPS[0], no_pages)
    bar.ended(9.87, {"p50": 10.1, "p95": 10.2})
    bar.begin(STEPS[1], no_pages)
    rows = [line for line in table(bar, width=width).splitlines() if "users" in line]
    assert len(rows) == 2
    assert all("9.87" in rows[0] and "10.2 s" in rows[0] and len(row) <= width for row in rows)


@pytest.mark.parametrize("late", [0, 5, 500])
def test_a_step_that_is_late_never_fills_more_than_the_bar(late: float, clock: Clock) -> None:
    bar = begun(Console(file=io.StringIO()))
    bar.begin(STEPS[0], no_pages)
    bar.wait(10 + late, clock.pass_, nothing)
    assert bar.left == pytest.approx(20), "the second step is still to come"
    assert 0 < bar.share < 1
    bar.begin(STEPS[1], no_pages)
    assert bar.left == pytest.approx(20)
    assert bar.share == pytest.approx((10 + late) / (30 + late))


def test_the_line_says_what_is_measured_and_for_how_long(clock: Clock) -> None:
    assert shown(120, clock) == f"{'━' * 24} 0:25 left · 1/2 WSGI threadpool, 100 users · 12 pages"
    assert "0:37 left, 12 s more than planned · 1/2" in shown(80, clock, lengthened=12)
    assert "more" not in shown(160, clock, lengthened=0.2)


@pytest.mark.parametrize("width", [1, 10, 20, 40, 80])
def test_the_line_never_needs_a_second_one(width: int, clock: Clock) -> None:
    line = shown(width, clock, lengthened=12)
    assert len(line) <= width
    if width >= 40:
        assert "0:37 left" in line


def test_a_terminal_that_cannot_write_over_a_line_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = io.StringIO()
    with begun(Console(file=out, force_terminal=True)) as bar:
        bar.begin(STEPS[0], no_pages)
        bar.ended(9.99, {"p50": 1.0, "p95": None})
    assert out.getvalue() == "1/2 WSGI threadpool, 100 users: 9.99 pages/s, median 1.00 s; 0:20 left\n"
