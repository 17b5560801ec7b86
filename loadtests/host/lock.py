"""Locks of this user on this machine, and what a launcher that was killed left up.

A lock is a file that its holder keeps locked (flock) for as long as its process lives, however that ends. The content
says who holds it and what it has up; a holder that ends by itself empties it. So content in a file that nobody holds is
the record of a launcher that was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import IO, Any

from loadtests import ROOT
from loadtests.errors import LabDown

FOLDER = Path(tempfile.gettempdir()) / f"wsgi-asgi-lab-{os.getuid()}"

Facts = Mapping[str, Any]


class Held:
    """A lock that this process holds."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._facts: dict[str, Any] = {}
        self.something_is_left = False  # the record stays, and the next launcher cleans up

    def note(self, **facts: Any) -> None:
        """Write down who this launcher is and what it has up: `project` of Compose, `folder` of the run."""
        self._facts |= facts
        write(self._file, json.dumps(self._facts))


@contextmanager
def held(name: str, command: str, clean_up: Callable[[Facts], bool]) -> Iterator[Held]:
    """Hold the lock `name`, after the records of all killed launchers were given to `clean_up`.

    `clean_up` returns whether nothing is left. Raises LabDown, which says who holds the lock.
    """
    own_folder()
    path = FOLDER / f"{name}.json"
    with path.open("a+", encoding="utf-8") as file:
        if not hold(file):
            raise LabDown(
                f"the lab is in use on this machine: {words(facts_in(file))}. Two at once would disturb each other's "
                "figures. Wait until it has ended, or end it with Ctrl-C there."
            )
        for record in chain([file], others(path)):
            killed = facts_in(record)
            if killed and clean_up(killed):
                write(record, "")
        since = datetime.now().astimezone().strftime("%H:%M")
        lock_held = Held(file)
        lock_held.note(pid=os.getpid(), command=command, checkout=str(ROOT), since=since)
        try:
            yield lock_held
        finally:
            if not lock_held.something_is_left:
                write(file, "")


def own_folder() -> None:
    """Make the folder of the locks. Raises LabDown where it is not this user's alone: /tmp is everybody's."""
    try:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        found = FOLDER.lstat()
    except OSError as error:
        raise LabDown(f"{FOLDER} cannot be made: {error.strerror}. Set TMPDIR to a folder of yours.") from error
    if not FOLDER.is_dir() or FOLDER.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise LabDown(f"{FOLDER} must be a folder of yours that nobody else may write to. Remove it, or set TMPDIR.")


def others(own: Path) -> Iterator[IO[str]]:
    """Yield the locks that no process holds, each held until the next one."""
    for path in sorted(FOLDER.glob("*.json")):
        if path != own:
            with path.open("r+", encoding="utf-8") as file:
                if hold(file):
                    yield file


def hold(file: IO[str]) -> bool:
    """Lock the file, unless another process holds it; return whether it is ours."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def facts_in(file: IO[str]) -> Facts:
    """Return what the holder wrote; nothing where that is cut off."""
    file.seek(0)
    try:
        facts = json.load(file)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def words(holder: Facts) -> str:
    """Return who holds a lock, as its record says."""
    if not {"command", "checkout", "pid", "since"} <= holder.keys():
        return "another launcher that just starts"
    return "`{command}` in {checkout}, process {pid}, since {since}".format_map(holder)
