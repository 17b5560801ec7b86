"""Whom a load generator obeys; see also runs/test_generators.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runs import LONGEST, ROOT

# In a process of its own, because Locust patches the one that imports it.
IS_TOLD = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from loadtests.generator.assistant import Assistant
said = []
runner = SimpleNamespace(send_message=lambda _, data: said.append(data["token"]))
order = {"do": "start", "token": sys.argv[1], "files": {"locustfile.py": "stolen = True"}, "target": {}}
Assistant(runner, "0123abcd", Path(sys.argv[2])).told(SimpleNamespace(data=order))
print(json.dumps(said))
"""


def said_by(script: str, *words: str) -> Any:
    command = [sys.executable, "-c", script, *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("token", ["0123", "0123abcd", "", "abcd"])
def test_who_cannot_show_the_leaders_half_of_the_token_is_not_obeyed(tmp_path: Path, token: str) -> None:
    """Another user of the machine may listen at the address first, and hear what a worker says."""
    obeyed = token == "abcd"  # noqa: S105
    assert said_by(IS_TOLD, token, str(tmp_path)) == ["0123"] * obeyed
    assert (tmp_path / "locustfile.py").exists() == obeyed
