"""Files that are written whole or not at all: a reader never finds half of one, even when the disk is full."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from loadtests.errors import LabError


class NotWritten(LabError):
    """A file could not be written; what was at its place is still there."""


def write(path: Path, text: str) -> None:
    """Write the file in UTF-8, with its folder where that is missing. Raises NotWritten."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())  # a full disk or quota may show only here
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise NotWritten(
            f"{str(path)[:200]} cannot be written: {error.strerror}. Free some space or let the folder be written to."
        ) from error
