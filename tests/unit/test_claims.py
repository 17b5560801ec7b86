from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtests.experiments import Claim, find
from loadtests.report.claims import Result, document, status
from loadtests.report.summary import summarize
from tests.unit.factories import ASGI, WSGI, good_run, measured, run

CLAIM = Claim(
    "Threads | lose.", "Somebody", "https://example.org/a", confirmed="depends on the slots", otherwise="a tie"
)
EXPERIMENT = replace(find("external-concurrency"), claims=(CLAIM, replace(CLAIM, text="Twice.")))

HELD = summarize(good_run())
TIE = summarize(run(measured(WSGI, 100, 10.0), measured(ASGI, 100, 10.0)))
SPOILT = summarize(run(measured(WSGI, 100, 10.0), measured(ASGI, 100, 97.0, generator_cpu=0.99)))


@pytest.mark.parametrize(
    ("summary", "said"),
    [(HELD, "**depends on the slots**"), (TIE, "**a tie**"), (SPOILT, "not measured"), (None, "not measured")],
)
def test_a_claim_is_as_its_run_ended(summary: dict[str, Any] | None, said: str) -> None:
    assert status(CLAIM, Result(EXPERIMENT, summary)) == said


def test_the_document_has_a_row_for_each_claim_with_source_and_figures() -> None:
    text = document([Result(EXPERIMENT, HELD)], "make claims QUICK=1")
    rows = [line for line in text.splitlines() if line.startswith("| `external-concurrency` | T")]
    assert len(rows) == 2
    assert "| Threads \\| lose. | [Somebody](https://example.org/a) |" in rows[0]
    assert "97.0 pages/s" in rows[0]
    assert "the same run" in rows[1]
    assert "`make claims QUICK=1`" in text
    assert "1 of 1 experiments ended with a verdict." in text
    assert "make loadtest" in text


def test_a_run_that_did_not_end_is_said_to_be_missing() -> None:
    text = document([Result(EXPERIMENT, HELD), Result(find("slots"), None)], "make claims")
    assert "1 of 2 experiments ended with a verdict." in text
    assert "| The run did not end. | not measured |" in text
