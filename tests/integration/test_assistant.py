"""Whom a load generator obeys, and which users of a locustfile it has; see also runs/test_generators.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runs import LONGEST, ROOT

# In processes of their own, because Locust patches the one that imports it.
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
DEALS = """
import json, sys
from locust import User
from loadtests.generator.locust_users import Locustfile, dealt
from loadtests.model.share import Share
class Admin(User):
    fixed_count = 1
class Reader(User):
    weight = 9
class Writer(User):
    weight = 1
classes = {kind.__name__: kind for kind in (Admin, Reader, Writer)}
print(json.dumps([dealt(Locustfile(classes), 11, Share(index, int(sys.argv[1]))) for index in range(int(sys.argv[1]))]))
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


@pytest.mark.parametrize("number", [1, 3, 5])
def test_users_of_a_locustfile_are_together_those_that_one_generator_would_start(number: int) -> None:
    each = said_by(DEALS, str(number))
    together = {name: sum(one.get(name, 0) for one in each) for name in ("Admin", "Reader", "Writer")}
    assert together == {"Admin": 1, "Reader": 9, "Writer": 1}
    assert max(sum(one.values()) for one in each) - min(sum(one.values()) for one in each) <= 1


def test_without_a_token_it_obeys_nobody() -> None:
    """As `docker compose --profile generators up` would start it, where nobody has made a token."""
    command = [sys.executable, "-m", "loadtests", "assist"]
    alone = {**os.environ, "MASTER": "tcp://127.0.0.1:9", "GENERATOR_TOKEN": ""}
    ended = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert ended.returncode == 3
    assert "GENERATOR_TOKEN is empty: `make loadtest GENERATORS=2` starts this service" in ended.stderr
