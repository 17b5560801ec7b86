"""Wait for what a service reports, and leave a service in the middle of a page."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from loadtests.analysis.readings import Reading
from loadtests.generator import sampler

PATIENCE = 90.0  # seconds; only a hang takes so long, however busy the machine is


def read(lab: Mapping[str, str], service: str) -> Reading:
    """What the service reports; a busy machine may make it miss an answer."""
    deadline = time.monotonic() + PATIENCE
    while (reading := sampler.read(lab[f"{service} metrics"])) is None:
        assert time.monotonic() < deadline, f"{service} does not say"
    return reading


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextmanager
def user_who_leaves(url: str) -> Iterator[None]:
    """Request the page, and close the connection at the end of the block without reading the answer."""
    asked = httpx.URL(url)
    with socket.create_connection((asked.host, asked.port or 80), timeout=PATIENCE) as connection:
        connection.sendall(b"GET " + asked.raw_path + b" HTTP/1.1\r\nHost: " + asked.netloc + b"\r\n\r\n")
        yield
