from __future__ import annotations

import io

import pytest
from rich.console import Console

from loadtests.generator import progress
from loadtests.generator.progress import Progress
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


def shown(width: int, clock: Clock, *, lengthened: float = 0.0) -> str:
    """The line in a terminal of this width, in the middle of the first step."""
    console = Console(width=width, force_terminal=True, color_system=None, legacy_windows=False, file=io.StringIO())
    bar = Progress(console, STEPS)
    bar.begin(STEPS[0])
    clock.pass_(5)
    if lengthened:
        bar.lengthen(lengthened)
    return bar.line("12 pages").plain


def test_a_step_that_goes_as_planned_counts_down_to_nothing(clock: Clock) -> None:
    bar = Progress(Console(file=io.StringIO()), STEPS)
    assert (bar.left, bar.share) == (30, 0)
    bar.begin(STEPS[0])
    bar.wait(10, clock.pass_, nothing)
    assert bar.left == pytest.approx(20)
    assert bar.share == pytest.approx(1 / 3)
    bar.begin(STEPS[1])
    bar.wait(20, clock.pass_, nothing)
    assert (bar.left, bar.share) == pytest.approx((0, 1))


def test_a_step_that_is_lengthened_makes_the_plan_longer_and_is_said() -> None:
    out = io.StringIO()
    bar = Progress(Console(file=out, width=100), STEPS)
    bar.begin(STEPS[0])
    bar.lengthen(10)
    bar.lengthen(2)
    assert bar.left == pytest.approx(42, abs=1)
    assert out.getvalue().splitlines() == [
        "1/2 WSGI threadpool, 100 users; 0:30 left",
        "    extended: pages take longer than planned, or figures are still uncertain; 0:40 left",
    ]


def test_what_a_step_measured_stays_on_the_screen_and_in_a_pipe(clock: Clock) -> None:
    piped, shown = io.StringIO(), io.StringIO()
    for out, terminal in ((piped, False), (shown, True)):
        with Progress(Console(file=out, width=100, force_terminal=terminal, highlight=False), STEPS) as bar:
            bar.begin(STEPS[0])
            bar.ended("9.99 pages/s, median 1.01 s")
    assert piped.getvalue().splitlines()[-1] == "    9.99 pages/s, median 1.01 s"
    assert "1/2 WSGI threadpool, 100 users: 9.99 pages/s, median 1.01 s" in shown.getvalue()


@pytest.mark.parametrize("late", [0, 5, 500])
def test_a_step_that_is_late_never_fills_more_than_the_bar(late: float, clock: Clock) -> None:
    bar = Progress(Console(file=io.StringIO()), STEPS)
    bar.begin(STEPS[0])
    bar.wait(10 + late, clock.pass_, nothing)
    assert bar.left == pytest.approx(20), "the second step is still to come"
    assert 0 < bar.share < 1
    bar.begin(STEPS[1])
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
    with Progress(Console(file=out, force_terminal=True), STEPS) as bar:
        bar.begin(STEPS[0])
    assert "1/2 WSGI threadpool, 100 users; 0:30 left" in out.getvalue()
