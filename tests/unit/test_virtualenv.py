from __future__ import annotations

import fcntl
import shutil
import subprocess
import threading
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from loadtests.errors import LabDown
from loadtests.host import virtualenv

HOSTILE = {
    "PYTHONPATH": "/elsewhere",
    "PYTHONHOME": "/elsewhere",
    "PIP_USER": "1",
    "PIP_TARGET": "/elsewhere",
    "PIP_PREFIX": "/elsewhere",
    "PIP_CONSTRAINT": "/elsewhere",
}
WANTED = {"PIP_INDEX_URL": "https://mirror.example/simple", "PIP_CERT": "/ca.pem", "PIP_NO_INDEX": "1"}


class Commands:
    """Makes the virtual environment without pip, and installs nothing; what the check finds is to be said."""

    def __init__(self) -> None:
        self.told: list[Sequence[str]] = []
        self.environments: list[Mapping[str, str]] = []
        self.broken = ""

    def run(self, command: Sequence[str], what: str, environment: Mapping[str, str]) -> None:
        self.told.append(command)
        self.environments.append(environment)
        if "venv" in command:
            venv.EnvBuilder(symlinks=True).create(command[-1])

    @property
    def made(self) -> int:
        return sum("venv" in command for command in self.told)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    commands = Commands()
    monkeypatch.setattr(virtualenv, "run_long", commands.run)
    monkeypatch.setattr(virtualenv, "why_broken", lambda _: commands.broken)
    return commands


def point_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(virtualenv, "FOLDER", folder)
    monkeypatch.setattr(virtualenv, "PYTHON", folder / "bin" / "python")
    monkeypatch.setattr(virtualenv, "STAMP", folder / "installed.sha256")
    return folder


@pytest.fixture
def folder(tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Path:
    """VENV."""
    return point_to(tmp_path / "venv", monkeypatch)


def installed(folder: Path) -> bool:
    return (folder / "installed.sha256").read_text(encoding="utf-8") == virtualenv.fingerprint("lab")


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_folder_that_is_empty_or_not_there_yet_is_used(folder: Path) -> None:
    virtualenv.ensure("lab")
    assert installed(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    virtualenv.ensure("lab")
    assert installed(folder)


def test_what_is_there_and_works_is_left_alone(folder: Path, commands: Commands) -> None:
    virtualenv.ensure("lab")
    virtualenv.ensure("lab")
    assert commands.made == 1


@pytest.mark.parametrize("names", [["diary.txt"], ["diary.txt", "pyvenv.cfg"], ["diary.txt", "installed.sha256"]])
def test_a_folder_with_somebody_elses_things_is_left_alone(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("mine", encoding="utf-8")
    with pytest.raises(LabDown, match=r"VENV: .*/venv holds what the lab did not put there.* set VENV to a folder"):
        virtualenv.ensure("lab")
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_a_file_in_the_place_of_the_folder_is_left_alone(folder: Path) -> None:
    folder.write_text("mine", encoding="utf-8")
    with pytest.raises(LabDown, match="VENV: "):
        virtualenv.ensure("lab")
    assert folder.read_text(encoding="utf-8") == "mine"


def test_what_was_made_for_another_lock_is_made_anew(folder: Path) -> None:
    virtualenv.ensure("lab")
    (folder / "installed.sha256").write_text("0" * 64, encoding="utf-8")
    (folder / "lib" / "old.txt").write_text("", encoding="utf-8")
    virtualenv.ensure("lab")
    assert installed(folder)
    assert not (folder / "lib" / "old.txt").exists()


def test_what_was_moved_is_made_anew_since_its_scripts_name_the_old_place(
    folder: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    virtualenv.ensure("lab")
    moved = point_to(folder.parent / "moved here", monkeypatch)
    folder.rename(moved)
    virtualenv.ensure("lab")
    virtualenv.ensure("lab")
    assert commands.made == 2


def test_what_does_not_work_any_longer_is_made_anew(
    folder: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    virtualenv.ensure("lab")
    states = iter(["No package metadata was found for django", ""])
    monkeypatch.setattr(virtualenv, "why_broken", lambda _: next(states))
    virtualenv.ensure("lab")
    assert commands.made == 2
    assert installed(folder)


def test_what_does_not_work_after_its_installation_is_not_stamped_as_complete(folder: Path, commands: Commands) -> None:
    commands.broken = "No package metadata was found for django"
    with pytest.raises(LabDown, match="A setting of pip may have sent it elsewhere") as refused:
        virtualenv.ensure("lab")
    assert refused.value.details == commands.broken
    assert not installed(folder)
    commands.broken = ""
    virtualenv.ensure("lab")
    assert installed(folder)


@pytest.mark.parametrize("at", ["clear", "make", "install"])
def test_what_was_interrupted_is_made_anew(folder: Path, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    virtualenv.ensure("lab")
    (folder / "installed.sha256").write_text("0" * 64, encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(*{"clear": (shutil, "rmtree")}.get(at, (virtualenv, at)), interrupt)
        with pytest.raises(KeyboardInterrupt):
            virtualenv.ensure("lab")
    virtualenv.ensure("lab")
    assert installed(folder)


def test_what_the_shell_sets_for_other_pythons_decides_nothing_and_a_mirror_is_kept(
    folder: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**HOSTILE, **WANTED}.items():
        monkeypatch.setenv(name, value)
    virtualenv.ensure("lab")
    for environment in (*commands.environments, virtualenv.environment()):
        assert not set(HOSTILE) & set(environment)
        assert environment.items() >= WANTED.items()
    pip = next(command for command in commands.told if "pip" in command)
    assert {"-I", "--no-user", "--target=", f"--prefix={folder}", "--root=/"} <= set(pip)


def test_who_comes_while_another_process_installs_waits_and_installs_nothing(
    folder: Path, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.mkdir()
    with (folder / "installed.sha256").open("a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        waiting = threading.Thread(target=virtualenv.ensure, args=("lab",))
        waiting.start()
        said = ""
        while "Waiting for another process" not in said:
            said += capsys.readouterr().err
        stream.write(virtualenv.fingerprint("dev"))  # which holds all of the lab's
    waiting.join()
    assert not commands.told


def test_a_path_with_a_colon_is_refused_before_anything_is_made(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(tmp_path / "a:b", monkeypatch)
    with pytest.raises(LabDown, match=r"^VENV must be a path without a colon.*/a:b"):
        virtualenv.ensure("lab")
    assert not commands.told


def test_a_python_that_cannot_make_one_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise LabDown("making the virtual environment failed (exit status 1).", "ensurepip is not available")

    monkeypatch.setattr(virtualenv, "run_long", fail)
    with pytest.raises(LabDown, match=r"venv module with pip is needed .*apt install python3-venv") as down:
        virtualenv.ensure("lab")
    assert down.value.details == "ensurepip is not available"


def test_the_check_is_run_by_the_python_that_was_installed_for(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = point_to(tmp_path / "venv", monkeypatch)
    assert "No such file" in virtualenv.why_broken("lab")
    venv.EnvBuilder(symlinks=True).create(folder)
    assert "packaging" in virtualenv.why_broken("lab")
    [packages] = folder.glob("lib/python*/site-packages")
    for name, version in (("packaging", "26.3"), ("some-package", "1.5")):
        (packages / f"{name.replace('-', '_')}-{version}.dist-info").mkdir()
        metadata = packages / f"{name.replace('-', '_')}-{version}.dist-info" / "METADATA"
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    import packaging  # noqa: PLC0415  # as the lock has it

    shutil.copytree(Path(packaging.__file__).parent, packages / "packaging")
    monkeypatch.setattr(virtualenv, "ROOT", tmp_path)
    (tmp_path / "requirements").mkdir()
    lock = tmp_path / "requirements" / "lab.txt"
    other = "other==1 ; python_version < '3' \\\n    --hash=sha256:00\n"
    lock.write_text(f"some-package==1.5 \\\n    --hash=sha256:00\n{other}", encoding="utf-8")
    assert virtualenv.why_broken("lab") == ""
    lock.write_text("some-package==1.6 \\\n    --hash=sha256:00\n", encoding="utf-8")
    assert "some-package is there as 1.5" in virtualenv.why_broken("lab")
    lock.write_text("missing==1 \\\n    --hash=sha256:00\n", encoding="utf-8")
    assert "missing" in virtualenv.why_broken("lab")


def test_clean_removes_only_what_the_lab_installed(folder: Path, root: Path) -> None:
    command = ["make", "-C", str(folder.parent), "-f", str(root / "Makefile"), "clean", f"VENV={folder}"]
    folder.mkdir()
    subprocess.run(command, check=True, capture_output=True)
    assert folder.exists()
    virtualenv.ensure("lab")
    subprocess.run(command, check=True, capture_output=True)
    assert not folder.exists()
