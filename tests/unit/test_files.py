"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests.results import files, folders
from loadtests.results.files import NotWritten


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_is_written_in_utf_8_with_its_folder(tmp_path: Path) -> None:
    files.write(tmp_path / "raw" / "a.json", "é …\n")
    assert (tmp_path / "raw" / "a.json").read_bytes() == "é …\n".encode()
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["a.json"]


def test_a_full_disk_leaves_the_file_as_it_was_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    files.write(path, "whole")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotWritten, match=r"report\.html cannot be written: No space left on device\. Free some space"):
        files.write(path, "half")
    assert path.read_text(encoding="utf-8") == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_place_of_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "summary.json" / "x").mkdir(parents=True)
    with pytest.raises(NotWritten, match=r"summary\.json cannot be written: Is a directory"):
        files.write(tmp_path / "summary.json", "")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with a report in it."""
    monkeypatch.setattr(folders, "FOLDER", tmp_path)
    folder = folders.new_folder("slots")
    files.write(folder / "report.html", "")
    return folder


def test_the_latest_run_is_where_results_latest_leads(run: Path) -> None:
    for _ in range(2):
        assert folders.finish(run) == run
        assert (folders.FOLDER / "latest").resolve() == run


def test_a_folder_called_latest_costs_no_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders.FOLDER / "latest" / "mine").mkdir(parents=True)
    assert folders.finish(run) == run
    said = capsys.readouterr()
    assert "latest does not lead to this run: Is a directory" in said.err
    assert "Report: " in said.out
    assert sorted(path.name for path in folders.FOLDER.iterdir()) == [run.name, "latest"]


def test_a_file_system_without_links_costs_no_report(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)
    assert folders.finish(run) == run
    assert "latest does not lead to this run: Operation not permitted" in capsys.readouterr().err


def test_a_folder_that_was_removed_in_mid_run_is_no_error(run: Path) -> None:
    (run / "report.html").unlink()
    run.rmdir()
    assert folders.finish(run) is None


def test_raw_data_that_is_there_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders.FOLDER)
    assert folders.remains(run) == ""
    files.write(run / "raw" / "a.json", "{}")
    assert folders.remains(run) == f" What was measured is in {run.name}/raw."
