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
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


def survive_lost_output() -> None:
    """Replace sys.stdout and sys.stderr by streams that survive the loss of their reader.

    A letter that their encoding lacks, as PYTHONIOENCODING may name a small one, is replaced.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        raw = Output(stream.fileno(), "w", closefd=False)
        buffered = io.BufferedWriter(raw)
        text = io.TextIOWrapper(buffered, encoding=stream.encoding, errors="replace", write_through=True)
        text.reconfigure(line_buffering=stream.line_buffering)
        setattr(sys, name, text)
