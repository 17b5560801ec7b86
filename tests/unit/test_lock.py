"""One launcher at a time, and what a killed one left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.errors import LabDown
from loadtests.host import lock


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "FOLDER", tmp_path / "locks")
    return tmp_path / "locks"


@pytest.fixture
def killed(folder: Path) -> list[lock.Facts]:
    """Records of launchers that were killed, one of them in mid-write; what `clean_up` was given."""
    folder.mkdir(mode=0o700)
    (folder / "up-1.json").write_text('{"command": "make up", "project": "lab"}')
    (folder / "up-2.json").write_text('{"command": "mak')
    return []


def nothing_killed(facts: lock.Facts) -> bool:
    raise AssertionError(f"{facts} is taken for the record of a killed launcher")


def test_a_second_launcher_is_refused_and_told_who_the_first_is() -> None:
    first = lock.held("run", "make loadtest EXPERIMENT=slots", nothing_killed)
    who = r"`make loadtest EXPERIMENT=slots` in \S+, process \d+, since \d\d:\d\d\."
    with first, pytest.raises(LabDown, match=who), lock.held("run", "make claims", nothing_killed):
        pass
    with lock.held("run", "make claims", nothing_killed):
        pass


def test_another_lock_is_free_and_its_living_holder_is_left_alone() -> None:
    with lock.held("up-1", "make up", nothing_killed) as up:
        up.note(project="lab")
        with lock.held("run", "make loadtest", nothing_killed):
            pass


def test_what_killed_launchers_left_is_cleaned_up_once(killed: list[lock.Facts]) -> None:
    def clean_up(facts: lock.Facts) -> bool:
        killed.append(facts)
        return True

    for _ in range(2):
        with lock.held("run", "make loadtest", clean_up):
            pass
    assert killed == [{"command": "make up", "project": "lab"}]


def test_what_could_not_be_cleaned_up_is_tried_again(killed: list[lock.Facts]) -> None:
    def clean_up(facts: lock.Facts) -> bool:
        killed.append(facts)
        return False

    for _ in range(2):
        with lock.held("run", "make loadtest", clean_up):
            pass
    assert len(killed) == 2


@pytest.mark.parametrize("left", [True, False])
def test_a_holder_that_ends_leaves_a_record_only_where_something_is_left(left: bool, folder: Path) -> None:  # noqa: FBT001
    with lock.held("run", "make loadtest", nothing_killed) as held:
        held.note(project="lab-run")
        held.something_is_left = left
    text = (folder / "run.json").read_text()
    assert (json.loads(text)["project"] == "lab-run") if left else not text


def test_a_folder_that_others_may_write_to_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(LabDown, match="nobody else may write to"), lock.held("run", "make loadtest", nothing_killed):
        pass
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(LabDown, match="nobody else may write to"), lock.held("run", "make loadtest", nothing_killed):
        pass
