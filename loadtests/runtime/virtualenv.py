"""The project's virtual environment: made from the hashed locks, only when they have changed.

Runs on the system's Python with nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from loadtests.errors import LabDown
from loadtests.runtime import ROOT
from loadtests.runtime.shell import run_long

FOLDER = Path(os.environ.get("VENV") or ROOT / ".venv")
PYTHON = FOLDER / "bin" / "python"
STAMP = FOLDER / "installed.sha256"
HALF_MADE = "half made"  # in the stamp, until everything is installed
LOCKS = ("lab", "dev")  # each holds all of the one before


def ensure(lock: str) -> None:
    """Install the lock into the virtual environment, unless it or a larger one is there. Raises LabDown."""
    enough = LOCKS[LOCKS.index(lock) :]
    if PYTHON.exists() and stamp() in {fingerprint(name) for name in enough}:
        return
    if not may_be_cleared():
        raise LabDown(
            f"VENV: {FOLDER} holds what the lab did not put there, and installing would remove it. Remove it yourself, "
            "or set VENV to a folder that is empty or not there yet."
        )
    say = "the tests and tools need" if lock == "dev" else "the lab needs"
    print(
        f"Installing what {say} into {FOLDER.name} (once, about a minute) …",
        file=sys.stderr,
        flush=True,
    )
    try:
        clear()
        venv.EnvBuilder(with_pip=True).create(FOLDER)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LabDown(
            f"the virtual environment {FOLDER} could not be made: {error}. Python's venv module with pip is needed "
            "(on Debian and Ubuntu: apt install python3-venv)."
        ) from error
    requirements = str(ROOT / "requirements" / f"{lock}.txt")
    run_long(
        [
            str(PYTHON),
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--disable-pip-version-check",
            "-r",
            requirements,
        ],
        "installing the packages",
    )
    STAMP.write_text(fingerprint(lock))


def stamp() -> str:
    """Empty where there is none."""
    return STAMP.read_text(errors="replace") if STAMP.is_file() else ""


def may_be_cleared() -> bool:
    """Whether nothing is in the folder, or a virtual environment of ours, whole or not. False where it is a file."""
    if not os.path.lexists(FOLDER):
        return True
    if not FOLDER.is_dir():
        return False
    made = bool(stamp()) and (FOLDER / "pyvenv.cfg").exists()
    return made or stamp() == HALF_MADE or not any(FOLDER.iterdir())


def clear() -> None:
    """The stamp comes first and stays: what an interruption leaves behind is known as ours."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    STAMP.write_text(HALF_MADE)
    for path in FOLDER.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != STAMP:
            path.unlink()


def fingerprint(lock: str) -> str:
    """Of the lock and of the Python it is installed for."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_bytes()
    return hashlib.sha256(text + sys.version.encode()).hexdigest()


def is_active() -> bool:
    return Path(sys.prefix).resolve() == FOLDER.resolve()
