from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, NoReturn

import pytest
from rich.console import Console

from loadtests.errors import LabError
from loadtests.model.summary import Summary
from loadtests.report import html, terminal
from loadtests.report.delivery import deliver
from loadtests.results import summary
from loadtests.results.summary import summarize
from tests.unit.factories import good_run

Failing = tuple[Any, str, Any, str, set[str]]


@pytest.fixture(scope="module")
def result() -> Summary:
    return summarize(good_run())


def fail(*_: object) -> NoReturn:
    raise ZeroDivisionError("a bug")


def no_space(*_: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def test_summary_verdict_and_report_are_handed_over(result: Summary, tmp_path: Path) -> None:
    shown = io.StringIO()
    deliver(result, tmp_path, Console(file=shown, width=80))
    assert json.loads((tmp_path / "summary.json").read_text()) == result
    assert "CONFIRMED" in shown.getvalue()
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    "failing",
    [
        (html, "write", fail, "report.html could not be made: ZeroDivisionError: a bug", {"summary.json"}),
        (html, "render", fail, "report.html could not be made: ZeroDivisionError: a bug", {"summary.json"}),
        (terminal, "table", fail, "the verdict could not be shown: ZeroDivisionError", {"summary.json", "report.html"}),
        (summary, "write", no_space, "summary.json could not be written: No space left on device", {"report.html"}),
    ],
)
def test_what_fails_costs_nothing_else_and_is_a_sentence(
    failing: Failing, result: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name, broken, said, left = failing
    monkeypatch.setattr(module, name, broken)
    shown = io.StringIO()
    with pytest.raises(LabError) as error:
        deliver(result, tmp_path, Console(file=shown, width=80))
    assert said in str(error.value)
    assert str(error.value).endswith("What was measured is in the run's folder, under raw/.")
    assert {path.name for path in tmp_path.iterdir()} == left
    assert ("CONFIRMED" in shown.getvalue()) == (module is not terminal)
