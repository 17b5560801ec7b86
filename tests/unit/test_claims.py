from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.command_line import main
from loadtests.errors import ExitCode, LabDown
from loadtests.experiments import find
from loadtests.host import launch
from loadtests.model.experiment import Claim, Experiment
from loadtests.model.run_options import RunOptions
from loadtests.model.summary import Summary
from loadtests.report import claims
from loadtests.report.claims import Result, document, status
from loadtests.results.summary import summarize, write
from tests.conftest import SETTINGS
from tests.unit.factories import ASGI, WSGI, generator, good_run, measured, run

CLAIM = Claim(
    "Threads | lose.", "Somebody", "https://example.org/a", confirmed="depends on the slots", otherwise="a tie"
)
EXPERIMENT = replace(find("external-concurrency"), claims=(CLAIM, replace(CLAIM, text="Twice.")))

HELD = summarize(good_run())
TIE = summarize(run(measured(WSGI, 100, 10.0), measured(ASGI, 100, 10.0)))
SPOILT = summarize(run(measured(WSGI, 100, 10.0), measured(ASGI, 100, 97.0, generators=generator(0.99))))


@pytest.mark.parametrize(
    ("summary", "said"),
    [(HELD, "**depends on the slots**"), (TIE, "**a tie**"), (SPOILT, "not measured"), (None, "not measured")],
)
def test_a_claim_is_as_its_run_ended(summary: Summary | None, said: str) -> None:
    assert status(CLAIM, Result(EXPERIMENT, summary)) == said


def test_the_document_has_a_row_for_each_claim_with_source_and_figures() -> None:
    text = document([Result(EXPERIMENT, HELD)], "make claims QUICK=1")
    rows = [line for line in text.splitlines() if "| `external-concurrency` |" in line and "| T" in line]
    assert len(rows) == 2
    assert "| Threads \\| lose. | ASGI serves 9.79 times as many pages at 100 users<details>" in rows[0]
    assert rows[0].endswith("| [Somebody](https://example.org/a) |")
    assert "97.0 pages/s" in rows[0]
    assert "the same run" in rows[1]
    assert "`make claims QUICK=1`" in text
    assert "1 of 1 experiments ended with a verdict." in text
    assert "make loadtest" in text


def test_a_run_that_did_not_end_is_said_to_be_missing() -> None:
    text = document([Result(EXPERIMENT, HELD), Result(find("slots"), None)], "make claims")
    assert "1 of 2 experiments ended with a verdict." in text
    assert "| not measured | " in text
    assert "| The run did not end. | `slots` |" in text


def test_a_few_experiments_leave_the_rows_of_the_others_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "claims.md"
    slots, fan_out = find("slots"), find("fan-out")
    claims.write(path, [Result(fan_out, SPOILT), Result(slots, TIE)], "make claims RUNTIME=docker")
    found, command = claims.with_others(path, [Result(slots, HELD)], "make claims EXPERIMENT=slots")
    assert command == "make claims RUNTIME=docker"
    assert [(one.experiment.name, one.summary and one.summary["verdict"]) for one in found] == [
        ("fan-out", SPOILT["verdict"]),
        ("slots", HELD["verdict"]),
    ]


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (SPOILT, "is not valid"),
        (None, "is not valid"),
        (HELD | {"runtime": "process"}, "that is of docker, and the new one of process"),
        (HELD | {"manifest": {**HELD["manifest"], "knobs": {"quick": True}}}, "is a quick one"),
    ],
)
def test_a_result_that_tells_less_does_not_replace_what_the_document_holds(
    new: Any, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "claims.md"
    slots = find("slots")
    held: Any = HELD | {"runtime": "docker"}
    claims.write(path, [Result(slots, held)], "make claims RUNTIME=docker")
    found, _ = claims.with_others(path, [Result(slots, new)], "make claims EXPERIMENT=slots")
    assert [one.summary and one.summary["runtime"] for one in found] == ["docker"]
    said = capsys.readouterr().out
    assert "slots: the earlier result stays in the document: " in said
    assert why in said
    again, _ = claims.with_others(path, [Result(slots, held)], "make claims EXPERIMENT=slots")
    assert again == [Result(slots, held)]


@pytest.mark.parametrize("damaged", ["", "[]", '{"runs": 7}'])
def test_a_document_that_is_damaged_has_no_other_rows(damaged: str, tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text(damaged)
    found = [Result(find("slots"), HELD)]
    assert claims.with_others(tmp_path / "claims.md", found, "make claims") == (found, "make claims")


def test_a_second_pass_that_cannot_begin_does_not_cost_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def measure(chosen: Sequence[Experiment], *_: object) -> list[launch.RunOutcome]:
        asked.append([experiment.name for experiment in chosen])
        if len(asked) > 1:
            raise LabDown("port 8001 is taken.", "by another lab")
        for name, found in (("slots", HELD), ("fan-out", SPOILT)):
            (tmp_path / name).mkdir()
            write(found, tmp_path / name)
        return [
            launch.RunOutcome(find("slots"), ExitCode.CONFIRMED, tmp_path / "slots"),
            launch.RunOutcome(find("fan-out"), ExitCode.INVALID, tmp_path / "fan-out"),
        ]

    monkeypatch.setattr(launch, "measure", measure)
    document = tmp_path / "claims.md"
    words = ["claims", "--experiment=slots,fan-out", "--runtime=docker", f"--write-to={document}"]
    assert main(words) == ExitCode.INVALID
    assert asked == [["slots", "fan-out"], ["fan-out"]]
    assert "1 of 2 experiments ended with a verdict." in document.read_text()
    figures = json.loads(document.with_suffix(".json").read_text())
    assert figures["runs"]["slots"]["verdict"] == HELD["verdict"]
    assert figures["runs"]["slots"]["arms"][0]["steps"] == HELD["arms"][0]["steps"]
    said = capsys.readouterr().err
    assert "fan-out: the first result stands, because it could not be measured again: port 8001 is taken." in said
    assert "by another lab" in said


def test_what_takes_more_cores_than_there_are_is_left_out_of_all_claims_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[set[str]] = []

    def measure(chosen: Sequence[Experiment], options: RunOptions, runtime: str) -> list[launch.RunOutcome]:
        asked.append({experiment.name for experiment in chosen})
        return [launch.RunOutcome(experiment, ExitCode.CONFIRMED, None) for experiment in chosen]

    monkeypatch.setattr(launch, "measure", measure)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for name in SETTINGS:  # as the tests have them
        monkeypatch.delenv(name, raising=False)
    document = tmp_path / "claims.md"
    words = ["claims", "--runtime=docker", f"--write-to={document}"]
    main(words)
    assert (
        "ten-thousand is left out: it takes about 12 cores, and here are 2. By name it runs." in capsys.readouterr().out
    )
    [row] = [line for line in document.read_text().splitlines() if "| `ten-thousand` |" in line]
    assert row.startswith("| takes about 12 cores |")
    main([*words, "--quick"])
    main([*words, "--experiment=ten-thousand"])
    monkeypatch.setenv("LAB_ENGINE", "swarm")  # whose nodes may have them
    main(words)
    monkeypatch.delenv("LAB_ENGINE")
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    main(words)
    assert ["ten-thousand" in names for names in asked] == [False, True, True, True, True]
