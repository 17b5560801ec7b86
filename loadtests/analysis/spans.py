"""Spans of one page, as lines of OTLP JSON → the rows of a waterfall. Pure; what makes no sense is left out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

USER, PAGE, CALL, WAIT = "user", "page", "call", "wait"  # how the spans' names begin
MOST_SPANS = 2_000
MOST_ROWS = 40
LONGEST = 3_600 * 10**9  # nanoseconds before or after the user's wait that a span may lie
LONGEST_NAME = 40  # characters


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
    began, ended = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    status = span.get("status") or {}
    failed = str(status.get("message", ""))[:200] if status.get("code") == 2 else ""
    name = "".join(
        letter for letter in str(span["name"])[:LONGEST_NAME] if letter.isprintable() and letter not in "<>&"
    )
    return Span(name, str(span["spanId"]), str(span.get("parentSpanId") or ""), began, max(began, ended), failed)


def waterfall(spans: Iterable[Span]) -> list[Row]:
    """Return the user's wait, the queue before the page, the page, and what it did, in order; empty without a user.

    What is beyond MOST_ROWS is one row.
    """
    spans = sorted(spans, key=lambda span: span.began)
    if not (users := [span for span in spans if span.name == USER and not span.parent]):
        return []
    user = users[0]

    def row(span: Span, name: str, wait: int = 0) -> Row:
        return Row(name, (span.began - user.began) / 1e9, (span.ended - span.began) / 1e9, wait / 1e9, span.failed)

    inside = [
        span
        for span in spans
        if span is not user and user.began - LONGEST <= span.began and span.ended <= user.ended + LONGEST
    ]
    rows = [row(user, "user waits")]
    pages = [span for span in inside if span.name == PAGE and span.parent == user.id]
    if pages:
        queue = max(0.0, (pages[0].began - user.began) / 1e9)
        rows.append(Row("queue", 0.0, queue, queue))
    rows += [row(page, "page") for page in pages]
    waits: defaultdict[str, int] = defaultdict(int)
    for span in inside:
        if span.name.startswith(WAIT):
            waits[span.parent] += span.ended - span.began
    calls = 0
    for span in inside:
        if span in pages or span.name.startswith(WAIT):
            continue
        calls += span.name == CALL
        rows.append(
            row(
                span,
                f"{CALL} {calls}" if span.name == CALL else span.name,
                min(waits[span.id], span.ended - span.began),
            )
        )
    if len(rows) > MOST_ROWS:
        rest = rows[MOST_ROWS - 1 :]
        begins = min(one.begins for one in rest)
        last = max(one.begins + one.takes for one in rest)
        rows[MOST_ROWS - 1 :] = [Row(f"{len(rest)} more", begins, last - begins)]
    return rows
