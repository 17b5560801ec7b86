"""Several load generators, as processes; in containers see tests/e2e/test_loadtest.py."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtests.errors import ExitCode
from tests.runs import Ended, Lab, children_of, one_line, says_its_verdict

QUICK = ("run", "--runtime=process", "--quick", "--latency=0.2")


@pytest.fixture
def lab(clean_environment: dict[str, str], tmp_path: Path) -> Lab:
    return Lab(clean_environment, tmp_path / "results")


def generators_of(ended: Ended) -> list[list[dict[str, Any]]]:
    return [json.loads(file.read_text())["generators"] for file in sorted((ended.folder / "raw").glob("*.json"))]


def assistants_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in children_of(process) if assists(child)]


def assists(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):  # as a probe of a service's health, which ends at once
        return process.cmdline()[-1:] == ["assist"]
    return False


def test_three_share_the_users_and_each_is_looked_at_by_itself(lab: Lab) -> None:
    ended = lab.run(*QUICK, "--users=2,10", "--generators=3")
    says_its_verdict(ended)
    assert sorted(map(len, generators_of(ended))) == [3, 3, 4, 4], "with two users only two of them load, and one leads"
    assert all(one["cpu"] > 0 and not one["fault"] for step in generators_of(ended) for one in step)
    names = [check["name"] for check in ended.summary["checks"]]
    assert names.count("load generators") == names.count("windows") == 4
    laws = [check for check in ended.summary["checks"] if check["name"] in {"pages", "calls", "users"}]
    assert laws
    assert all(check["passed"] for check in laws), "what they received together is what the target answered"


def test_they_share_what_arrives(lab: Lab) -> None:
    ended = lab.run(*QUICK, "--experiment=overload", "--rate=20", "--generators=2")
    arrivals = [check for check in ended.summary["checks"] if check["name"] == "arrivals"]
    assert arrivals
    pages = [step["pages"] for arm in ended.summary["arms"] for step in arm["steps"]]
    assert all(pages)
    assert {len(step) for step in generators_of(ended)} == {3}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_is_lost_ends_the_run_by_name_and_what_the_others_measured_is_kept(
    lab: Lab, number: signal.Signals
) -> None:
    with lab.started(*QUICK, "--latency=1", "--users=12", "--generators=3") as process:
        lab.wait_for(lambda: len(assistants_of(process)) == 3)
        lost = assistants_of(process)[1]
        lab.wait_for(lambda: lost.net_connections() and lost.cpu_times().user > 0.3 and loads(lost))
        lost.send_signal(number)
        output, _ = process.communicate(timeout=120)
    ended = Ended(process.returncode, output, lab.results)
    [check] = refused_for_a_generator(ended)
    assert f"(process {lost.pid} of " in check["value"]
    assert check["value"].endswith("was lost: it ended, or the network is full or cut")
    assert "so the remaining steps were skipped" in one_line(output)
    [step] = [step for arm in ended.summary["arms"] for step in arm["steps"]]
    assert step["pages"] > 0
    assert not psutil.pid_exists(lost.pid), "whatever it was doing, it is stopped with the lab"


def test_a_run_whose_load_generators_are_all_lost_ends_and_names_them(lab: Lab) -> None:
    with lab.started(*QUICK, "--latency=1", "--users=12", "--generators=2") as process:
        lab.wait_for(lambda: len(assistants_of(process)) == 2 and all(map(loads, assistants_of(process))))
        for lost in assistants_of(process):
            lost.kill()
        output, _ = process.communicate(timeout=120)
    assert process.returncode == ExitCode.INVALID
    for number in (1, 2):
        assert re.search(rf"load generator {number} \(process \d+ of \S+\) was lost", one_line(output))


def refused_for_a_generator(ended: Ended) -> list[dict[str, Any]]:
    return [check for check in ended.summary["checks"] if check["name"] == "load generators" and not check["passed"]]


def loads(generator: psutil.Process) -> bool:
    """Whether it has users, each with a connection."""
    return len(generator.net_connections()) > 2
