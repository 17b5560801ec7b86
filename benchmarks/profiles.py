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
    "httpx_aiohttp": "httpx",
    **dict.fromkeys(("yarl", "multidict", "aiohappyeyeballs", "propcache", "frozenlist"), "aiohttp"),
    "prometheus_client": "the lab",
}  # any other package is its own


def read(path: Path) -> dict[Any, Any]:
    """Return (file, line, function) → (primitive calls, calls, own seconds, seconds, callers)."""
    stats: dict[Any, Any] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    return stats


def shares(profile: dict[Any, Any]) -> dict[str, float]:
    """Return shares of the profiled CPU time by owner; what Python itself does counts for its caller.

    The event loop's own C code is in no profile: to divide all of a thread's CPU by these shares divides it among them.
    """
    seconds: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, callers) in profile.items():
        if name := owner(file):
            seconds[name] += own
            continue
        for (caller, _, _), (_, _, spent, _) in callers.items():
            seconds[owner(caller) or "asyncio and others"] += spent
    total = sum(seconds.values())
    return {name: spent / total for name, spent in seconds.items()}


def owner(file: str) -> str | None:
    """Return who owns a file; None if it is Python's own."""
    if match := PACKAGE.search(file):
        return OWNERS.get(match[1], match[1])
    if THREADS.search(file):
        return "starting threads"
    return "the lab" if "/services/" in file else None


def calls(profile: dict[Any, Any], name: str) -> int:
    """Return how often the functions with this in their name were called."""
    return sum(number for (_, _, function), (_, number, *_) in profile.items() if name in function)
