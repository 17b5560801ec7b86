"""Every experiment, in containers and quickly: each is measured, judged, and shows what the machine cannot hide.

Whether a short window on a busy machine confirms an experiment is for the machine to say. That its judgement is right
is shown on made-up points (tests/unit/test_experiments.py); here, that the effect itself is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtests import experiments
from loadtests.experiments.cpu_bound import WORK
from tests.e2e.conftest import SERVICES, own_project
from tests.e2e.test_loadtest import containers
from tests.runs import MEASURED, Lab

pytestmark = pytest.mark.slow

PROJECT = "lab-test-claims"
PATIENCE = 1800  # seconds; a sixth of it when nothing disturbs
SLOTS = 10

Steps = Sequence[Mapping[str, Any]]  # the highest step of each arm, in the experiment's order


def most_pages(step: Mapping[str, Any]) -> float:
    return float(step["inside"]["most_pages_in_flight"])


def p50(step: Mapping[str, Any], of: str = "response_time") -> float:
    return float(step[of]["p50"])


def connections_per_page(step: Mapping[str, Any]) -> float:
    return float(step["inside"]["connections_opened"] / step["pages"])


# Counts, orders, and times that no machine can fall short of. What compares CPU is not here.
SHOWN: Mapping[str, Callable[[Steps], bool]] = {
    "async-under-wsgi": lambda arms: max(most_pages(arms[0]), most_pages(arms[1])) <= SLOTS < most_pages(arms[2]),
    "blocking-call": lambda arms: p50(arms[1]) > p50(arms[0]),
    "client-gone": lambda arms: arms[0]["inside"]["api_calls_answered"] > 0 == arms[2]["inside"]["api_calls_answered"],
    # Half: of the few pages of a quick window some were computed, in part, before it began.
    "cpu-bound": lambda arms: all(arm["cpu_per_page"] > WORK / 2 for arm in arms),
    "database": lambda arms: most_pages(arms[0]) <= SLOTS < most_pages(arms[1]) and p50(arms[4]) > p50(arms[3]),
    "external-concurrency": lambda arms: most_pages(arms[0]) <= SLOTS < most_pages(arms[1]),
    "fan-out": lambda arms: min(p50(arms[0]), p50(arms[3])) > max(p50(arms[at]) for at in (1, 2, 4, 5)),
    "fire-and-forget": lambda arms: (
        arms[0]["inside"]["background_cancelled"] > 0 == arms[1]["inside"]["background_cancelled"]
    ),
    "http-client": lambda arms: connections_per_page(arms[2]) > 2 * connections_per_page(arms[4]),
    "overload": lambda arms: 1.2 * arms[0]["goodput"] * arms[0]["seconds"] < arms[0]["pages"],
    "self-call": lambda arms: arms[0]["failures"] > 0 == arms[1]["failures"],
    "slots": lambda arms: most_pages(arms[0]) <= SLOTS < most_pages(arms[1]) and most_pages(arms[-1]) > SLOTS,
    "sync-view-under-asgi": lambda arms: min(map(most_pages, arms)) > SLOTS,
    "ten-thousand": lambda arms: most_pages(arms[0]) <= 8 * SLOTS < most_pages(arms[1]),
    "timeouts": lambda arms: p50(arms[2], "failure_time") < p50(arms[1], "failure_time"),
}


@dataclass(frozen=True)
class Claims:
    """All of them, run once by `make claims`."""

    document: str
    summaries: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def claims(engine: None, docker_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Claims:
    folder = tmp_path_factory.mktemp("claims")
    project = own_project(PROJECT, (*SERVICES, "wsgi-database", "asgi-database", "sleepers"))
    lab, document = Lab({**docker_environment, **project}, folder / "results"), folder / "claims.md"
    with lab.started("claims", "--quick", f"--write-to={document}") as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in MEASURED, output
    assert containers(PROJECT) == []
    # Of an experiment that was measured twice the later one counts.
    found = map(summary_in, sorted((folder / "results").glob("2*/summary.json")))
    return Claims(document.read_text(), {summary["experiment"]: summary for summary in found})


def summary_in(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", experiments.catalogue())
def test_an_experiment_is_measured_and_judged_and_shows_its_effect(claims: Claims, name: str) -> None:
    summary = claims.summaries[name]
    sentence = summary["verdict"]["sentence"]
    assert summary["complete"], sentence
    assert "cannot be judged" not in sentence
    failed = {check["name"] for check in summary["checks"] if not check["passed"]}
    assert "failed pages" not in failed or "machine" in failed, sentence  # where others had the cores, calls time out
    highest = [arm["steps"][-1] for arm in summary["arms"]]
    assert name not in SHOWN or SHOWN[name](highest), json.dumps(highest)[:4000]


def test_a_stream_begins_before_the_whole_page_does(claims: Claims) -> None:
    """Where nobody waits for a slot, which is at the lowest step."""
    whole, streamed = (p50(arm["steps"][0], "first_byte") for arm in claims.summaries["streaming"]["arms"][:2])
    assert streamed < whole


def test_the_document_has_every_experiment_with_what_was_measured(claims: Claims) -> None:
    for name, experiment in experiments.catalogue().items():
        rows = [line for line in claims.document.splitlines() if line.startswith("|") and f"| `{name}` |" in line]
        assert len(rows) == len(experiment.claims) + 1, name  # and the run's command
    assert "QUICK=1: short steps" in claims.document
