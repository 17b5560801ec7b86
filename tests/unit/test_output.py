"""How much of what a server writes is passed on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count, repeat

from services.telemetry.output import AT_ONCE, PART, PER_SECOND, pass_on


def passed_on(parts: int, clock: Iterator[float]) -> bytes:
    """What is passed on of a log of so many parts, of which one is read at each tick of the clock."""
    passed: list[bytes] = []

    async def log() -> None:
        output = asyncio.StreamReader()
        output.feed_data(b"x" * PART * parts)
        output.feed_eof()
        await pass_on(output, passed.append, lambda: next(clock))

    asyncio.run(log())
    return b"".join(passed)


def test_a_short_log_is_passed_on_as_it_is() -> None:
    assert passed_on(3, repeat(0.0)) == b"x" * PART * 3


def test_a_storm_ends_at_a_megabyte_and_says_what_is_left_out() -> None:
    passed = passed_on(10 * AT_ONCE // PART, repeat(0.0))
    assert passed.count(b"x") <= AT_ONCE
    assert b"bytes of this log were left out" in passed[-200:]


def test_after_a_storm_a_part_is_passed_on_now_and_then() -> None:
    parts = 1000  # a second each
    passed = passed_on(parts, count())
    assert AT_ONCE < passed.count(b"x") <= AT_ONCE + parts * PER_SECOND
    assert passed.count(b"left out") > 1
