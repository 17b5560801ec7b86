"""Reads what the services say of themselves while they are under load, and what the load generator's own limits do."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from loadtests import targets
from loadtests.analysis.readings import Reading

CGROUP = Path("/sys/fs/cgroup")


def read(url: str) -> Reading | None:
    """None when the service does not answer: a witness that is silent, which is a finding of its own."""
    try:
        return parse(targets.fetch(f"{url}/metrics"))
    except (OSError, ValueError):
        return None


def parse(text: str) -> Reading:
    """Prometheus text; raises ValueError for anything else."""
    values: dict[str, float] = {}
    buckets: dict[str, dict[float, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                buckets.setdefault(family.name, {})[float(sample.labels["le"])] = sample.value
            else:
                values[sample.name] = values.get(sample.name, 0.0) + sample.value
    return Reading(values, buckets)


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
