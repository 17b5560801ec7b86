"""Row 34 of docs/method.md: somebody else has the cores that the lab waits for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadtests.analysis.machine import MOST_USED
from tests.fooling.changed import ChangedLab, failed
from tests.runs import one_line, refused


@contextmanager
def hogs() -> Iterator[None]:
    """As many processes that compute as there are cores."""
    started = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(len(os.sched_getaffinity(0)))
    ]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_hog_beside_the_targets_is_what_the_run_is_invalid_for(lab: ChangedLab) -> None:
    with hogs():
        ended = lab.measure("--users=50")
    checks = refused(ended, "machine")
    assert all(check["value"].startswith("other processes used ") for check in checks)
    assert "load average" in one_line(ended.output)
    assert "more CPU" not in one_line(ended.output)
    disturbed = {check["measurement"] for check in checks}
    for arm in ended.summary["arms"]:
        for step in arm["steps"]:
            name = f"{arm['target']}-{arm['strategy']}-50-users-1"
            assert step["machine"]["others"] > MOST_USED * step["machine"]["cores"]
            assert name in disturbed
    assert "machine" in failed(ended, "asgi")
