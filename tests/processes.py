"""The lab as local processes, for as long as a test needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from loadtests.host.processes import ProcessRuntime


@contextmanager
def running(services: Sequence[str], logs: Path, **variables: str) -> Iterator[ProcessRuntime]:
    """These services and what they need, up; `variables`: of compose.yaml."""
    runtime = ProcessRuntime(logs)
    runtime.prepare(variables)
    try:
        runtime.up(services)
        yield runtime
    finally:
        runtime.down()


def urls(runtime: ProcessRuntime) -> dict[str, str]:
    """By service, and of each one's metrics."""
    return {**runtime.published(), **{f"{name} metrics": url for name, url in runtime.metrics.items()}}


def server_at(url: str) -> psutil.Process:
    """The server itself, of those that this test's process has started; what supervises it is its parent."""
    port = httpx.URL(url).port
    [server] = [
        process
        for process in psutil.Process().children(recursive=True)
        if any(one.laddr.port == port for one in process.net_connections() if one.status == psutil.CONN_LISTEN)
    ]
    return server
