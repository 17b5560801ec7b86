"""Services as local processes, for real: what happens to them between two experiments."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.waiting import wait_until
from tests.processes import running, server_at


def has_ended(child: psutil.Process) -> bool:
    """Whether it can be waited for: one whose first thread alone has ended looks like a zombie as well."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def test_a_service_that_died_is_started_again_and_one_that_runs_is_left_alone(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(["asgi"], logs) as runtime:
        api, asgi = (runtime.published()[name] for name in ("api", "asgi"))
        untouched, died = server_at(api), server_at(asgi)
        supervisor = died.parent()
        assert supervisor
        died.kill()
        wait_until(lambda: has_ended(supervisor))
        runtime.up(["asgi"])
        assert httpx.get(f"{asgi}/healthz", trust_env=False).json()["target"] == "asgi"
        assert server_at(api) == untouched
        assert server_at(asgi) != died
    assert "started again: asgi." in capsys.readouterr().out
    assert "SIGKILL" in (logs / "asgi.log").read_text(), "the last words of the one that died"
