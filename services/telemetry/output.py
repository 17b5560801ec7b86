"""Passes on what a server writes, but never without bound: a service's log must not fill a disk."""

from __future__ import annotations

import sys
import time
from asyncio import StreamReader
from collections.abc import Callable
from contextlib import suppress

AT_ONCE = 1_000_000  # bytes
PER_SECOND = 100  # bytes that may follow in the long run: a traceback every half minute
PART = 4096  # bytes that are read, and passed on or left out, together


def write_out(part: bytes) -> None:
    with suppress(OSError):  # nobody reads it any more: the server goes on
        sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()


async def pass_on(
    output: StreamReader, write: Callable[[bytes], object] = write_out, clock: Callable[[], float] = time.monotonic
) -> None:
    """Write what the server writes until it ends; say where and how much is left out."""
    allowed, left_out, last = float(AT_ONCE), 0, clock()
    while part := await output.read(PART):
        now = clock()
        allowed, last = min(AT_ONCE, allowed + (now - last) * PER_SECOND), now
        if len(part) > allowed:
            left_out += len(part)
            continue
        if left_out:
            write(note(left_out))
        left_out = 0
        allowed -= len(part)
        write(part)
    if left_out:
        write(note(left_out))


def note(left_out: int) -> bytes:
    return f"\n[{left_out} bytes of this log were left out: it has {AT_ONCE} at once and {PER_SECOND}/s]\n".encode()
