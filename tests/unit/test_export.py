"""A run's figures for other programs, and the list of all runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from loadtests import command_line
from loadtests.model.summary import Summary
from loadtests.report import export
from loadtests.results import folders, index
from loadtests.results.summary import summarize
from tests.unit.factories import good_run


@pytest.fixture
def result() -> Summary:
    return summarize(good_run())


@pytest.fixture
def ran(result: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder in results of its own."""
    folder = tmp_path / "20260102T000000Z-external-concurrency"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(result))
    (folder / "report.html").write_text("")
    monkeypatch.setattr(folders, "FOLDER", tmp_path)
    return folder


def report(*words: str) -> int:
    return command_line.main(["report", *words])


def test_csv_has_a_row_for_each_step_in_seconds_and_bytes(result: Summary) -> None:
    rows = list(csv.DictReader(export.as_csv(result).splitlines()))
    assert len(rows) == sum(len(arm["steps"]) for arm in result["arms"])
    first, step = rows[0], result["arms"][0]["steps"][0]
    assert (first["target"], float(first["goodput"]), float(first["p50"])) == (
        "wsgi",
        step["goodput"],
        step["response_time"]["p50"],
    )


def test_markdown_begins_with_the_verdict_and_ends_with_the_command(result: Summary) -> None:
    text = export.as_markdown(result)
    assert text.startswith(f"**CONFIRMED: {result['verdict']['headline']}")
    assert text.endswith(f"`{result['manifest']['command']}`\n")
    assert "| WSGI threadpool | 100 users | 9.91 |" in text


def test_the_report_command_prints_one_document_or_where_the_report_is(
    ran: Path, result: Summary, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(f"--run={ran}", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(result))
    assert report(f"--run={ran}") == 0
    assert capsys.readouterr().out == f"{(ran / 'report.html').as_uri()}\n"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"verdict": {}}'])
def test_a_folder_without_a_run_is_refused(content: str, ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ran / "summary.json").write_text(content)
    assert report(f"--run={ran}", "--csv") == 3
    assert "RUN must be a run" in capsys.readouterr().err


def test_the_list_of_runs_has_the_newest_first_and_survives_what_it_cannot_read(ran: Path, result: Summary) -> None:
    older = ran.with_name("20250102T000000Z-noise")
    older.mkdir()
    (older / "summary.json").write_text("{")
    (older / "report.html").write_text("")
    ran.with_name("20270102T000000Z-unfinished").mkdir()
    hostile: dict[str, Any] = {**result, "verdict": {**result["verdict"], "headline": "<script>alert(1)</script>"}}
    (ran / "summary.json").write_text(json.dumps(hostile))
    index.write()
    page = (ran.parent / "index.html").read_text()
    assert page.index(ran.name) < page.index(older.name)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "cannot be read" in page
    assert "unfinished" not in page


def test_an_old_name_of_an_experiment_is_understood_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["claims", "--experiment=fast-api", "--write-to=/no/such/folder/claims.md"]) == 3
    said = capsys.readouterr().err
    assert "fast-api is called api-latency now." in said
    assert "there is no experiment" not in said
