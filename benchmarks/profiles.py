"""A profile → whose code the time goes to. Pure but for reading the file."""

from __future__ import annotations

import pstats
import re
from collections import Counter
from pathlib import Path
from typing import Any

PACKAGE = re.compile(r"(?:site-packages|dist-packages)/([\w-]+?)(?:/|\.py)")
LOOP = "run_until_complete"  # also holds the time in which nothing runs
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
    """Of the main thread's time, by owner; what Python itself does counts for whoever called it."""
    stats: dict[Any, Any] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    seconds: Counter[str] = Counter()
    for (file, _, function), (_, _, own, _, callers) in stats.items():
        if LOOP in function:
            continue
        if found := owner(file):
            seconds[found] += own
            continue
        for (caller, _, caller_function), (_, _, spent, _) in callers.items():
            if LOOP not in caller_function:
                seconds[owner(caller) or "asyncio and others"] += spent
    total = sum(seconds.values())
    return {name: spent / total for name, spent in seconds.most_common()}


def owner(file: str) -> str | None:
    """None: Python's own."""
    if match := PACKAGE.search(file):
        return OWNERS.get(match[1], match[1])
    return "the lab" if "/services/" in file else None
