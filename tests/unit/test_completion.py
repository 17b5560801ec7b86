from __future__ import annotations

import subprocess
import sys

import pytest

from loadtests import ROOT
from loadtests.experiments import catalogue

# What bash does at the tab key, and prints what it would offer.
TAB = """
source <("$0" -m loadtests completion)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_loadtests_make 2>/dev/null  # compopt has nothing to set outside a real completion
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*words: str) -> list[str]:
    command = ["bash", "-c", TAB, sys.executable, *words]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert found.stderr == ""
    return found.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("make", "load"), ["loadtest"]),
        (("make", "loadtest", "LATENCY_P"), ["LATENCY_P99="]),
        (("make", "loadtest", "EXPERIMENT", "=", "fa"), ["fan-out"]),
        (("make", "loadtest", "RUNTIME", "="), ["docker", "process"]),
        (("make", "loadtest", "LAB_ENGINE", "="), ["swarm", "kubernetes"]),
        (("make", "loadtest", "USERS", "=", "1"), []),
        (("make", "nothing-like-this"), []),
    ],
)
def test_the_tab_key_offers_what_fits(words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_every_experiment_is_offered() -> None:
    assert offered("make", "loadtest", "EXPERIMENT", "=") == list(catalogue())
