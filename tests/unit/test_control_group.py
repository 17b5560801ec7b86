"""What the kernel says of a container's limits, in both versions of its files, as both wings read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.generator import sampler
from services.telemetry import control_group

Memory = Callable[[], int | None]
Throttled = Callable[[], float | None]

VERSION_1 = {
    "memory/memory.usage_in_bytes": "90000000\n",
    "memory/memory.limit_in_bytes": "100000000\n",
    "memory/memory.stat": "inactive_file 7\ntotal_cache 30000000\ntotal_inactive_file 20000000\n",
    "cpu/cpu.stat": "nr_periods 9\nnr_throttled 3\nthrottled_time 1500000000\n",
}
VERSION_2 = {
    "memory.current": "90000000\n",
    "memory.max": "100000000\n",
    "memory.stat": "anon 60000000\ninactive_file 20000000\n",
    "cpu.stat": "usage_usec 9\nthrottled_usec 1500000\n",
}
WITHOUT_LIMIT_1 = VERSION_1 | {"memory/memory.limit_in_bytes": "9223372036854771712\n"}
WITHOUT_LIMIT_2 = VERSION_2 | {"memory.max": "max\n"}
ROOT_OF_VERSION_2 = {"memory.stat": VERSION_2["memory.stat"], "cpu.stat": "usage_usec 9\n"}


def lay_out(folder: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(control_group, "CGROUP", folder)
    monkeypatch.setattr(sampler, "CGROUP", folder)


@pytest.mark.parametrize(
    "memory", [lambda: control_group.limited_memory(control_group.CGROUP), sampler.own_limited_memory]
)
@pytest.mark.parametrize(
    ("files", "counted"),
    [
        (VERSION_1, 70_000_000),
        (VERSION_2, 70_000_000),
        (WITHOUT_LIMIT_1, None),
        (WITHOUT_LIMIT_2, None),
        (ROOT_OF_VERSION_2, None),
        ({}, None),
    ],
)
def test_memory_is_what_the_limit_counts_less_what_the_kernel_takes_back(
    memory: Memory, files: dict[str, str], counted: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, files, monkeypatch)
    assert memory() == counted


@pytest.mark.parametrize(
    "throttled", [lambda: control_group.throttled_seconds(control_group.CGROUP), sampler.own_throttled_seconds]
)
@pytest.mark.parametrize(
    ("files", "seconds"), [(VERSION_1, 1.5), (VERSION_2, 1.5), (ROOT_OF_VERSION_2, None), ({}, None)]
)
def test_throttling_is_in_seconds(
    throttled: Throttled, files: dict[str, str], seconds: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, files, monkeypatch)
    assert throttled() == seconds


def test_another_processes_group_is_found_below_the_same_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, prefix in ((VERSION_1, "{}/docker/7f"), (VERSION_2, "docker/7f")):
        folder = tmp_path / prefix[:2]
        for name, text in version.items():
            controller, _, file = name.rpartition("/")
            path = folder / prefix.format(controller) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert control_group.limited_memory(folder, "docker/7f") == 70_000_000
        assert control_group.throttled_seconds(folder, "docker/7f") == 1.5


@pytest.mark.parametrize(
    ("lines", "group"),
    [
        ("0::/docker/7f\n", "docker/7f"),
        ("5:memory:/docker/7f\n4:cpu,cpuacct:/docker/7f\n0::/\n", "docker/7f"),
        ("0::/\n", ""),
    ],
)
def test_a_processes_group_is_read_in_both_versions(
    lines: str, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text(lines)
    monkeypatch.setattr(control_group, "PROC", tmp_path)
    assert control_group.group_of(7) == group


def test_the_sampler_reports_both_and_nothing_without_a_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, {}, monkeypatch)
    assert list(control_group.ControlGroup().collect()) == []
    lay_out(tmp_path, VERSION_2, monkeypatch)
    said = {sample.name: sample.value for family in control_group.ControlGroup().collect() for sample in family.samples}
    assert said == {"lab_cpu_throttled_seconds_total": 1.5, "lab_memory_limited_bytes": 70e6}
