"""Arrivals that do not wait for each other, at real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import Lab, one_line


@pytest.fixture
def lab_command(tmp_path: Path, clean_environment: dict[str, str]) -> Lab:
    return Lab(clean_environment, tmp_path / "results")


def test_overload_shows_what_the_users_who_wait_hide(lab_command: Lab) -> None:
    asked = ("--experiment=overload", "--users=20", "--rate=10,60")
    ended = lab_command.run_undisturbed("run", "--runtime=process", "--quick", *asked)
    assert ended.code == 0, ended.output
    assert "CONFIRMED wsgi serves" in one_line(ended.output)
    wsgi, asgi = ended.summary["arms"]
    users, below, above = wsgi["steps"]
    assert (users["users"], below["rate"], above["rate"]) == (20, 10, 60)
    assert above["goodput"] < 0.7 * above["rate"]  # held at its slots, while pages go on arriving
    assert above["response_time"]["p95"] > 1.5 * users["response_time"]["p95"]
    assert below["response_time"]["p95"] < 2 * below["predicted"]["response_time"]
    assert asgi["steps"][2]["goodput"] > 0.8 * above["rate"]
    assert not any(step["failures"] for arm in (wsgi, asgi) for step in arm["steps"])


def test_every_page_that_arrived_in_the_window_counts_also_when_it_ends_later(lab_command: Lab) -> None:
    ended = lab_command.run_undisturbed("run", "--runtime=process", "--quick", "--rate=100", "--latency=0.2")
    step = ended.summary["arms"][0]["steps"][0]
    assert step["pages"] == pytest.approx(100 * step["seconds"], abs=2)
    assert step["goodput"] < 0.7 * 100
    assert "at 100 pages/s asgi served" in one_line(ended.output)
