from __future__ import annotations

import shutil
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

from loadtests.errors import LabDown
from loadtests.runtime import virtualenv


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """VENV. What would be made there has no pip, and nothing is installed."""
    folder = tmp_path / "venv"
    monkeypatch.setattr(virtualenv, "FOLDER", folder)
    monkeypatch.setattr(virtualenv, "PYTHON", folder / "bin" / "python")
    monkeypatch.setattr(virtualenv, "STAMP", folder / "installed.sha256")
    monkeypatch.setattr(venv.EnvBuilder, "_setup_pip", lambda *_: None)
    monkeypatch.setattr(virtualenv, "run_long", lambda *_: None)
    return folder


def installed(folder: Path) -> bool:
    return (folder / "installed.sha256").read_text() == virtualenv.fingerprint("lab")


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_folder_that_is_empty_or_not_there_yet_is_used(folder: Path) -> None:
    virtualenv.ensure("lab")
    assert installed(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    virtualenv.ensure("lab")
    assert installed(folder)


@pytest.mark.parametrize("names", [["diary.txt"], ["diary.txt", "pyvenv.cfg"], ["diary.txt", "installed.sha256"]])
def test_a_folder_with_somebody_elses_things_is_left_alone(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("mine")
    with pytest.raises(LabDown, match=r"VENV: .*/venv holds what the lab did not put there.* set VENV to a folder"):
        virtualenv.ensure("lab")
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_a_file_in_the_place_of_the_folder_is_left_alone(folder: Path) -> None:
    folder.write_text("mine")
    with pytest.raises(LabDown, match="VENV: "):
        virtualenv.ensure("lab")
    assert folder.read_text() == "mine"


def test_what_was_made_for_another_lock_is_made_anew(folder: Path) -> None:
    virtualenv.ensure("lab")
    (folder / "installed.sha256").write_text("0" * 64)
    (folder / "lib" / "old.txt").write_text("")
    virtualenv.ensure("lab")
    assert installed(folder)
    assert not (folder / "lib" / "old.txt").exists()


@pytest.mark.parametrize("at", ["clear", "create", "install"])
def test_what_was_interrupted_is_made_anew(folder: Path, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    virtualenv.ensure("lab")
    (folder / "installed.sha256").write_text("0" * 64)
    owners: dict[str, tuple[Any, str]] = {
        "clear": (shutil, "rmtree"),
        "create": (venv.EnvBuilder, "create_configuration"),
        "install": (virtualenv, "run_long"),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*owners[at], interrupt)
        with pytest.raises(KeyboardInterrupt):
            virtualenv.ensure("lab")
    virtualenv.ensure("lab")
    assert installed(folder)


def test_clean_removes_only_what_the_lab_installed(folder: Path, root: Path) -> None:
    command = ["make", "-C", str(folder.parent), "-f", str(root / "Makefile"), "clean", f"VENV={folder}"]
    folder.mkdir()
    subprocess.run(command, check=True, capture_output=True)
    assert folder.exists()
    virtualenv.ensure("lab")
    subprocess.run(command, check=True, capture_output=True)
    assert not folder.exists()
