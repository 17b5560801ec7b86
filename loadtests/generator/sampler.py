"""Reads what the services say of themselves while they are under load, and what the load generator's own limits do."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from loadtests.analysis.machine import Moment
from loadtests.analysis.readings import Reading
from loadtests.generator import targets

PRESSURE, TASKS = Path("/proc/pressure/cpu"), Path("/proc/self/task")
CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = 2**60  # bytes; version 1 says "no limit" with a number beyond it


def read(url: str) -> Reading | None:
    """Return the metrics at `url`; None if nobody answers, which is a finding of its own."""
    try:
        return parse(targets.fetch(f"{url}/metrics"))
    except (OSError, ValueError):
        return None


def parse(text: str) -> Reading:
    """Parse Prometheus text. Raises ValueError for anything else."""
    values: dict[str, float] = {}
    buckets: dict[str, dict[float, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                worker = f'{{worker="{sample.labels["worker"]}"}}' if "worker" in sample.labels else ""
                buckets.setdefault(family.name + worker, {})[float(sample.labels["le"])] = sample.value
            else:
                labelled = (f'{sample.name}{{{key}="{value}"}}' for key, value in sample.labels.items())
                for name in (sample.name, *labelled):
                    values[name] = values.get(name, 0.0) + sample.value
    return Reading(values, buckets)


def moment() -> Moment:
    """Return what this machine and this process have used and waited for until now."""
    times = psutil.cpu_times()
    try:
        load_average = os.getloadavg()[0]
    except OSError:
        load_average = None
    return Moment(
        busy=times.user + times.system + getattr(times, "nice", 0.0),
        steal=getattr(times, "steal", 0.0),
        pressure=pressure(),
        generator=time.process_time(),
        generator_waited=own_wait(),
        cores=os.cpu_count() or 1,
        load_average=load_average,
    )


def pressure() -> float | None:
    """Return the seconds in which a thread of the machine waited for a core (Linux); None if unknown."""
    with suppress(OSError, ValueError, IndexError):
        some, _, total = PRESSURE.read_text().splitlines()[0].rpartition(" total=")
        return int(total) / 1e6 if some.startswith("some ") else None
    return None


def own_wait() -> float | None:
    """Return the seconds that this process's threads were ready to run and had no core; None if unknown."""
    try:
        files = [path.read_bytes() for path in TASKS.glob("*/schedstat")]
        return sum(int(file.split()[1]) for file in files) / 1e9 if files else None
    except (OSError, ValueError, IndexError):
        return None


def own_throttled_seconds() -> float | None:
    """Return how long its CPU limit has held this container back; None without a limit."""
    for path, name, per_second in (
        (CGROUP / "cpu.stat", "throttled_usec", 1e6),
        (CGROUP / "cpu" / "cpu.stat", "throttled_time", 1e9),
    ):
        with suppress(OSError, ValueError, KeyError):
            return statistics(path)[name] / per_second
    return None


def own_limited_memory() -> int | None:
    """Return the bytes that this container's memory limit counts, less what is reclaimable; None without a limit."""
    for folder, used, limit, reclaimable in (
        (CGROUP, "memory.current", "memory.max", "inactive_file"),
        (CGROUP / "memory", "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError, KeyError):  # version 2 says "max" where there is no limit
            if int((folder / limit).read_text()) < UNLIMITED:
                return int((folder / used).read_text()) - statistics(folder / "memory.stat")[reclaimable]
    return None


def statistics(path: Path) -> Mapping[str, int]:
    pairs = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {name: int(value) for name, value in pairs}
