"""Waiting for what a service says of itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from loadtests import witness
from loadtests.analysis.readings import Reading


def read(lab: Mapping[str, str], service: str) -> Reading:
    reading = witness.read(lab[f"{service} witness"])
    assert reading is not None
    return reading


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
