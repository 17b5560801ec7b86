"""A profile → whose code the time goes to. Pure but for reading the file."""

from __future__ import annotations

import pstats
import re
from collections import Counter
from pathlib import Path
from typing import Any

PACKAGE = re.compile(r"(?:site-packages|dist-packages)/([\w-]+?)(?:/|\.py)")
THREADS = re.compile(r"(?:/threading|/concurrent/futures/\w+)\.py$")
OWNERS = {
    "asgiref": "Django",
    "django": "Django",
    "httpx": "httpx",
    "httpx_aiohttp": "httpx",
    **dict.fromkeys(("aiohttp", "yarl", "multidict", "aiohappyeyeballs", "propcache", "frozenlist"), "aiohttp"),
    "uvicorn": "uvicorn",
    "prometheus_client": "the lab",
}


def shares(path: Path) -> dict[str, float]:
    """Return shares of the profiled CPU time by owner; what Python itself does counts for its caller.

    The event loop's own C code is in no profile: to divide all of a thread's CPU by these shares divides it among them.
    """
    stats: dict[Any, Any] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    seconds: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, callers) in stats.items():
        if found := owner(file):
            seconds[found] += own
            continue
        for (caller, _, _), (_, _, spent, _) in callers.items():
            seconds[owner(caller) or "asyncio and others"] += spent
    total = sum(seconds.values())
    return {name: spent / total for name, spent in seconds.most_common()}


def owner(file: str) -> str | None:
    """Return who owns a file; None if it is Python's own."""
    if match := PACKAGE.search(file):
        return OWNERS.get(match[1], match[1])
    if THREADS.search(file):
        return "starting threads"
    return "the lab" if "/services/" in file else None


def calls(path: Path, name: str) -> int:
    """Return how often a function was called."""
    stats: dict[Any, Any] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    return sum(count for (_, _, function), (_, count, *_) in stats.items() if name in function)
