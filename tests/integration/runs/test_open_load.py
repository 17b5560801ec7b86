"""Arrivals that do not wait for each other, at real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.errors import ExitCode
from tests.runs import Lab, one_line, says_its_verdict


@pytest.fixture
def lab_command(tmp_path: Path, clean_environment: dict[str, str]) -> Lab:
    return Lab(clean_environment, tmp_path / "results")


@pytest.mark.slow
def test_overload_shows_what_the_users_who_wait_hide(lab_command: Lab) -> None:
    """A queue that the slots alone make, of arrivals that twice as many could not serve.

    A page that arrived in the window counts, also when it ends long after it: so there are more of them than it served.
    """
    asked = ("--experiment=overload", "--users=20", "--rate=60", "--latency=0.4")
    ended = lab_command.run("run", "--runtime=process", "--quick", *asked)
    says_its_verdict(ended)
    wsgi, asgi = ended.summary["arms"]
    users, above = wsgi["steps"]
    assert (users["users"], above["rate"]) == (20, 60)
    assert above["pages"] > 1.4 * above["goodput"] * above["seconds"]
    assert above["response_time"]["p50"] > users["response_time"]["p50"] >= 2 * 0.4
    assert not any(step["failures"] for arm in (wsgi, asgi) for step in arm["steps"])
    assert "WSGI serves" in one_line(ended.output) or ended.code == ExitCode.INVALID
