"""The project's virtual environment: made from the hashed locks, only when they have changed.

Runs on the system's Python with nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import os
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
LOCKS = ("lab", "dev")  # each holds all of the one before


def ensure(lock: str) -> None:
    """Install the lock into the virtual environment, unless it or a larger one is there. Raises LabDown."""
    enough = LOCKS[LOCKS.index(lock) :]
    if STAMP.exists() and PYTHON.exists() and STAMP.read_text() in {fingerprint(name) for name in enough}:
        return
    say = "the tests and tools need" if lock == "dev" else "the lab needs"
    print(
        f"Installing what {say} into {FOLDER.name} (once, about a minute) …",
        file=sys.stderr,
        flush=True,
    )
    try:
        venv.EnvBuilder(with_pip=True, clear=FOLDER.exists()).create(FOLDER)
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


def fingerprint(lock: str) -> str:
    """Of the lock and of the Python it is installed for."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_bytes()
    return hashlib.sha256(text + sys.version.encode()).hexdigest()


def is_active() -> bool:
    return Path(sys.prefix).resolve() == FOLDER.resolve()
