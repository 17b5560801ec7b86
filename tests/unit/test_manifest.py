"""The commit in the manifest is that of these files, or none."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.results import manifest
from tests.unit.factories import SETTINGS, TARGETS


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=me", "-c", "user.email=me@example", "-c", "commit.gpgsign=false")
    return subprocess.check_output(["git", *who, *words], cwd=folder, encoding="utf-8").strip()  # noqa: S607


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lab, without a repository of its own, inside somebody else's repository."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message=theirs")
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "compose.yaml").write_text("", encoding="utf-8")
    return tmp_path / "lab"


def test_a_copy_inside_another_repository_has_no_commit(lab: Path) -> None:
    assert manifest.commit(lab) is None


def test_a_repository_that_has_the_files_names_them_wherever_it_begins(lab: Path) -> None:
    git(lab, "add", ".")
    git(lab, "commit", "--quiet", "--message=ours")
    head = git(lab, "rev-parse", "--short=12", "HEAD")
    assert manifest.commit(lab) == head
    (lab / "compose.yaml").write_text("x", encoding="utf-8")
    assert manifest.commit(lab) == f"{head}-dirty"


def test_the_repository_of_a_shell_is_not_asked(lab: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setenv("GIT_DIR", str(lab.parent / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(lab))
    git(lab, "add", ".")
    (lab.parent / "elsewhere").mkdir()
    assert manifest.commit(lab.parent / "elsewhere") is None


def test_without_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert manifest.commit(tmp_path) is None
    assert manifest.commit(tmp_path / "nowhere") is None


def test_the_network_is_in_the_manifest_in_whole_milliseconds(tmp_path: Path) -> None:
    """On one machine it is 0 in every run, so that two of them do not differ by it."""
    there = {name: replace(one, round_trip=0.0121, api_round_trip=80e-6) for name, one in TARGETS.items()}
    known = manifest.complete(tmp_path, SETTINGS, there, repeats=1, quick=False)
    assert known["round_trip_ms"] == {name: {"target": 12, "api": 0} for name in TARGETS}
