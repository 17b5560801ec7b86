"""What the sampler says of a server's memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.telemetry import supervise

MB = 10**6


class Process:
    """Of psutil; counts how often the kernel has to walk all of its pages."""

    pid = 7
    resident, proportional, walks = 100 * MB, 60 * MB, 0

    def memory_info(self) -> Any:
        return SimpleNamespace(rss=self.resident)

    def memory_full_info(self) -> Any:
        self.walks += 1
        return SimpleNamespace(pss=self.proportional)


def test_shared_pages_are_looked_at_when_memory_changes_and_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("services.telemetry.supervise.time.monotonic", lambda: now)
    memory, process = supervise.Memory(), Process()
    assert [memory.of(process) for _ in range(4)] == [60 * MB] * 4  # type: ignore[arg-type]
    assert process.walks == 1
    process.resident, process.proportional = 102 * MB, 62 * MB
    assert memory.of(process) == 62 * MB  # type: ignore[arg-type]
    process.proportional = 40 * MB  # another process came that shares the rest
    now += supervise.LOOK + 0.1
    assert memory.of(process) == 40 * MB  # type: ignore[arg-type]
    assert process.walks == 3
