"""What the limits of this container do, as its control group reports it (Linux)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CGROUP, PROC = Path("/sys/fs/cgroup"), Path("/proc")
UNLIMITED = 2**60  # bytes; version 1 says "no limit" with a number beyond it


class ControlGroup(Collector):
    """What the container's limits do. Nothing where there is no control group.

    `root`: where the kernel shows control groups, and `group` the path of this one below each of them.
    """

    def __init__(self, root: Path | None = None, group: str = "") -> None:
        self._root, self._group = root or CGROUP, group

    def collect(self) -> Iterator[Metric]:
        if (seconds := throttled_seconds(self._root, self._group)) is not None:
            yield CounterMetricFamily("lab_cpu_throttled_seconds", "time that the CPU limit took away", value=seconds)
        if (memory := limited_memory(self._root, self._group)) is not None:
            yield GaugeMetricFamily("lab_memory_limited_bytes", "memory that the limit counts", value=memory)


def throttled_seconds(root: Path, group: str = "") -> float | None:
    """Return how long the CPU limit has held the container back; None without a limit."""
    for path, name, per_second in (
        (root / group / "cpu.stat", "throttled_usec", 1e6),
        (root / "cpu" / group / "cpu.stat", "throttled_time", 1e9),
    ):
        with suppress(OSError, ValueError, KeyError):
            return statistics(path)[name] / per_second
    return None


def limited_memory(root: Path, group: str = "") -> int | None:
    """Return the bytes that the memory limit counts, less what the kernel takes back first; None without a limit.

    More than the server's own processes: the one that supervises it, buffers of connections, files in use.
    """
    for folder, used, limit, reclaimable in (
        (root / group, "memory.current", "memory.max", "inactive_file"),
        (root / "memory" / group, "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError, KeyError):  # version 2 says "max" where there is no limit
            if int((folder / limit).read_text()) < UNLIMITED:
                return int((folder / used).read_text()) - statistics(folder / "memory.stat")[reclaimable]
    return None


def group_of(process: int) -> str:
    """Return the path of a process's control group, as cgroups(7) has it. Raises OSError."""
    lines = (PROC / str(process) / "cgroup").read_text(encoding="utf-8").splitlines()
    controllers = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    return controllers.get("memory", controllers.get("", "/")).lstrip("/")


def statistics(path: Path) -> Mapping[str, int]:
    pairs = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {name: int(value) for name, value in pairs}
