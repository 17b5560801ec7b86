"""Reads what the services say of themselves while they are under load, and what the load generator's own limits do."""

from __future__ import annotations

from pathlib import Path

from loadtests import targets
from loadtests.analysis.readings import Reading, parse

CGROUP = Path("/sys/fs/cgroup")


def read(url: str) -> Reading | None:
    """None when the service does not answer: a witness that is silent, which is a finding of its own."""
    try:
        return parse(targets.fetch(f"{url}/metrics"))
    except (OSError, ValueError):
        return None


def own_throttled_seconds() -> float | None:
    """How long its CPU limit has held this container back; None where nothing limits it."""
    for path, name, per_second in (
        (CGROUP / "cpu.stat", "throttled_usec", 1e6),
        (CGROUP / "cpu" / "cpu.stat", "throttled_time", 1e9),
    ):
        try:
            stat = dict(line.split() for line in path.read_text().splitlines())
            return int(stat[name]) / per_second
        except (OSError, ValueError, KeyError):
            continue
    return None
