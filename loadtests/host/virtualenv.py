"""The project's virtual environment: made from the hashed locks, when they have changed or when it does not work.

Runs on the system's Python with nothing but the standard library. What the shell sets for other Pythons (PYTHONPATH,
PIP_USER, …) decides nothing here; where pip finds packages (an index, a proxy, certificates) stays the person's choice.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtests import ROOT
from loadtests.errors import LabDown
from loadtests.host.lock import hold
from loadtests.host.shell import run_long, run_quiet

FOLDER = Path(os.environ.get("VENV") or ROOT / ".venv").absolute()
PYTHON = FOLDER / "bin" / "python"
STAMP = FOLDER / "installed.sha256"
HALF_MADE = "half made"  # in the stamp, until everything is installed
LOCKS = ("lab", "dev")  # each holds all of the one before
# Of other Pythons, and where pip installs, and what else than the lock.
OF_OTHERS = re.compile(
    r"PYTHON(HOME|PATH|PLATLIBDIR|SAFEPATH|STARTUP|USERBASE)|VIRTUAL_ENV|__PYVENV_LAUNCHER__|PIP_(USER|TARGET|PREFIX|ROOT"
    r"|PYTHON|DRY_RUN|REQUIREMENT|EDITABLE|CONSTRAINT|PLATFORM|PYTHON_VERSION|IMPLEMENTATION|ABI)"
)
# Run by the virtual environment's own Python: every package of the lock is there in the version of the lock.
CHECK = r"""
import re, sys
from importlib.metadata import distribution
from pathlib import Path
from packaging.requirements import Requirement
for text in re.findall(r"^[a-z0-9].*==[^\\\n]*", Path(sys.argv[1]).read_text(encoding="utf-8"), re.MULTILINE):
    package = Requirement(text)
    if package.marker is None or package.marker.evaluate():
        there = distribution(package.name)
        if not package.specifier.contains(there.version, prereleases=True):
            sys.exit(f"{package.name} is there as {there.version}")
        modules = {file.parts[0] for file in there.files or () if file.suffix in {".py", ".so"}}
        if missing := [name for name in modules if not Path(there.locate_file(name)).exists()]:
            sys.exit(f"{package.name} lacks {missing[0]}")
"""
CHECK_TIMEOUT = 60.0  # seconds; it takes a quarter of one


def ensure(lock: str) -> None:
    """Install the lock into the virtual environment, unless it or a larger one is there and works. Raises LabDown."""
    there = installed(lock)
    if there and (is_active() or (is_here() and not why_broken(there))):
        return
    if ":" in str(FOLDER):
        raise LabDown(f"VENV must be a path without a colon, which separates paths in PATH; it is {str(FOLDER)[:200]}.")
    if not may_be_cleared():
        raise LabDown(
            f"VENV: {FOLDER} holds what the lab did not put there, and installing would remove it. Remove it yourself, "
            "or set VENV to a folder that is empty or not there yet."
        )
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with STAMP.open("a", encoding="utf-8") as stream:  # unlocked when it is closed, however the process ends
            if not hold(stream):
                print(f"Waiting for another process that installs into {FOLDER.name} …", file=sys.stderr, flush=True)
                fcntl.flock(stream, fcntl.LOCK_EX)
                if installed(lock):  # by that process
                    return
            make_anew(lock, "; what is there does not work" if there else "")
    except OSError as error:
        raise LabDown(f"VENV must be a folder that can be written to; {FOLDER}: {error.strerror}.") from error


def installed(lock: str) -> str:
    """Return the lock that the stamp says is installed: this one or a larger one. Empty where it says neither."""
    return next((name for name in LOCKS[LOCKS.index(lock) :] if stamp() == fingerprint(name)), "")


def make_anew(lock: str, why: str) -> None:
    """Install everything into the folder, which is emptied first. Raises LabDown, OSError."""
    say = "the tests and tools need" if lock == "dev" else "the lab needs"
    print(f"Installing what {say} into {FOLDER.name} (once, about a minute{why}) …", file=sys.stderr, flush=True)
    clear()
    make()
    install(lock)
    if broken := why_broken(lock):
        raise LabDown(
            f"VENV: what pip installed is not in {FOLDER}. A setting of pip may have sent it elsewhere: see "
            "`pip config list`. The check ended with:",
            broken,
        )
    STAMP.write_text(fingerprint(lock), encoding="utf-8")


def make() -> None:
    """Make the virtual environment, without packages. Raises LabDown."""
    try:
        python = getattr(sys, "_base_executable", sys.executable)  # not the one that has just been cleared
        run_long([python, "-I", "-m", "venv", str(FOLDER)], "making the virtual environment", environment())
    except LabDown as error:
        raise LabDown(
            f"the virtual environment {FOLDER} could not be made. Python's venv module with pip is needed (on Debian "
            "and Ubuntu: apt install python3-venv), and a folder with symbolic links: name others with PYTHON= and "
            "VENV=. The last lines:",
            error.details or str(error),
        ) from error


def install(lock: str) -> None:
    """Install the packages of the lock, wherever a pip.conf would have them. Raises LabDown."""
    here = ("--no-user", "--target=", f"--prefix={FOLDER}", "--root=/")
    requirements = str(ROOT / "requirements" / f"{lock}.txt")
    pip = (str(PYTHON), "-I", "-m", "pip", "install", "--require-hashes", "--disable-pip-version-check")
    run_long([*pip, *here, "-r", requirements], "installing the packages", environment())


def environment() -> dict[str, str]:
    """Return the environment of the virtual environment's Python, without what is meant for other Pythons."""
    kept = {name: value for name, value in os.environ.items() if not OF_OTHERS.fullmatch(name)}
    return kept | {"PYTHONNOUSERSITE": "1"}


def enter(arguments: Sequence[str]) -> None:
    """Go on as `python -m loadtests` of the virtual environment, which local processes need. Raises LabDown.

    Returns where it is active already.
    """
    ensure("lab")
    if is_active():
        return
    try:
        os.execve(PYTHON, [str(PYTHON), "-m", "loadtests", *arguments], environment())  # noqa: S606
    except OSError as error:
        raise LabDown(
            f"VENV: {PYTHON} cannot be started: {error.strerror}. Remove {FOLDER}, and it is made anew."
        ) from error


def why_broken(lock: str) -> str:
    """Return what is wrong with what is installed, in Python's words; empty where all of the lock is there."""
    command = [str(PYTHON), "-I", "-c", CHECK, str(ROOT / "requirements" / f"{lock}.txt")]
    try:
        checked = run_quiet(command, env=environment(), timeout=CHECK_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (checked.stderr.strip() or f"exit status {checked.returncode}") if checked.returncode else ""


def is_here() -> bool:
    """Return whether it was made for this folder: after a move its scripts begin with a path that is gone."""
    try:
        text = (FOLDER / "pyvenv.cfg").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    made_for = re.search(r"^command = .* -m venv (?:--\S+ )*(.+)$", text, re.MULTILINE)
    return made_for is not None and Path(made_for[1]).resolve() == FOLDER.resolve()


def stamp() -> str:
    """Return the stamp; empty if there is none."""
    return STAMP.read_text(encoding="utf-8", errors="replace") if STAMP.is_file() else ""


def may_be_cleared() -> bool:
    """Return whether the folder is empty or a virtual environment of ours, whole or not. False for a file."""
    if not FOLDER.is_dir():
        return not os.path.lexists(FOLDER)
    made = bool(stamp()) and (FOLDER / "pyvenv.cfg").exists()
    return made or stamp() == HALF_MADE or all(path == STAMP and not stamp() for path in FOLDER.iterdir())


def clear() -> None:
    """Empty the folder. The stamp is written first and stays, so that a half-emptied folder is known as ours."""
    STAMP.write_text(HALF_MADE, encoding="utf-8")
    for path in FOLDER.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != STAMP:
            path.unlink()


def fingerprint(lock: str) -> str:
    """Return a hash of the lock and of the Python that it is installed for."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_bytes()
    return hashlib.sha256(text + sys.version.encode()).hexdigest()


def is_active() -> bool:
    return Path(sys.prefix).resolve() == FOLDER.resolve()
