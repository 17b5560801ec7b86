"""Spans of one page, as lines of OTLP JSON → the rows of a waterfall. Pure; what makes no sense is left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

USER, PAGE, CALL, WAIT = "user", "page", "call", "wait"  # how the spans' names begin
MOST_SPANS = 2_000
MOST_ROWS = 40
LONGEST = 3_600 * 10**9  # nanoseconds before or after the user's wait that a span may lie
LONGEST_TEXT = 80  # characters
MOST_DIGITS = 20  # of nanoseconds: those of 64 bits


@dataclass(frozen=True, slots=True)
class Span:
    """Times are in nanoseconds since 1970."""

    name: str
    id: str
    parent: str
    began: int
    ended: int
    failed: str


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds since the user asked, and how long it takes. `wait`: how much of it, from its beginning on, it waits."""

    name: str
    begins: float
    takes: float
    wait: float = 0.0
    failed: str = ""


def read(lines: Iterable[str]) -> list[Span]:
    spans: list[Span] = []
    for line in lines:
        try:
            resources = json.loads(line)["resourceSpans"]
            found = [span for one in resources for scope in one["scopeSpans"] for span in scope["spans"]]
            spans += [span_of(span) for span in found[: MOST_SPANS - len(spans)]]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # cut off, or somebody else's
            continue
    return spans


def span_of(span: dict[str, Any]) -> Span:
    """Return a span of OTLP JSON. Raises ValueError, LookupError, TypeError, AttributeError."""
    began, ended = (int(str(span[name])[:MOST_DIGITS]) for name in ("startTimeUnixNano", "endTimeUnixNano"))
    status = span.get("status") or {}
    failed = plain(status.get("message", "")) if status.get("code") == 2 else ""
    parent = str(span.get("parentSpanId") or "")
    return Span(plain(span["name"]), str(span["spanId"]), parent, began, max(began, ended), failed)


def plain(text: object) -> str:
    """Return so much of a text as a plot has room for, without what it would take for HTML."""
    return "".join(letter for letter in str(text)[:LONGEST_TEXT] if letter.isprintable() and letter not in "<>&")


def waterfall(spans: Iterable[Span]) -> list[Row]:
    """Return the user's wait, the queue before the page, the page, and what it did, in order; empty without a user.

    What is beyond MOST_ROWS is one row.
    """
    spans = sorted(spans, key=lambda span: span.began)
    user = next((span for span in spans if span.name == USER and not span.parent), None)
    if user is None:
        return []
    earliest, latest = user.began - LONGEST, user.ended + LONGEST
    others = [span for span in spans if span is not user and earliest <= span.began <= span.ended <= latest]
    waits: Counter[str] = Counter()
    for span in others:
        if span.name.startswith(WAIT):
            waits[span.parent] += span.ended - span.began

    def row(span: Span, name: str) -> Row:
        takes = span.ended - span.began
        return Row(name, (span.began - user.began) / 1e9, takes / 1e9, min(waits[span.id], takes) / 1e9, span.failed)

    rows = [row(user, "user waits")]
    if page := next((span for span in others if span.name == PAGE and span.parent == user.id), None):
        queue = max(0.0, (page.began - user.began) / 1e9)
        rows += [Row("queue", 0.0, queue, queue), row(page, PAGE)]
    numbers = count(1)
    work = (span for span in others if span is not page and not span.name.startswith(WAIT))
    rows += [row(span, f"{CALL} {next(numbers)}" if span.name == CALL else span.name) for span in work]
    if len(rows) > MOST_ROWS:
        rest = rows[MOST_ROWS - 1 :]
        last = max(one.begins + one.takes for one in rest)
        rows[MOST_ROWS - 1 :] = [Row(f"{len(rest)} more", rest[0].begins, last - rest[0].begins)]
    return rows
