"""Survive the end of whatever reads the output: a run must outlive its terminal, its pipe and a full disk."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

READER_GONE = {errno.EPIPE, errno.EIO}  # a closed pipe, as `head` leaves it, and a closed terminal


class Output(io.FileIO):
    """A standard stream that discards what cannot be written, and all output after it."""

    failure: OSError | None = None  # why output was lost, where the reader is not simply gone

    def write(self, data: Any, /) -> int:
        """Return the number of bytes taken, which is all of them once writing has failed."""
        try:
            return super().write(data)  # never None: standard streams block
        except OSError as error:
            if error.errno not in READER_GONE:
                Output.failure = error
            discard(self.fileno())
            return len(data)


def discard(stream: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    if nowhere != stream:
        os.close(nowhere)


def survive_lost_output() -> None:
    """Replace sys.stdout and sys.stderr by streams that survive the loss of their reader, and that write UTF-8.

    A stream that is closed from the start (`>&-`) becomes one that discards.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            discard(number)
        raw = Output(number, "w", closefd=False)
        text = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="replace", write_through=True)
        text.reconfigure(line_buffering=number == 2 or raw.isatty())
        setattr(sys, name, text)
