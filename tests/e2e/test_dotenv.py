"""A file .env means the same to Compose and to the lab's own reading of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from loadtests.errors import BadInput
from loadtests.host.variables import read_dotenv

READ = r"""# a comment
PLAIN=1
SPACED = two words  # and a comment
  INDENTED=1
export EXPORTED=1
COLON: 1
HASH=x#y
TAB=x	# no comment
EMPTY=
SINGLE='a # $PLAIN \n'
DOUBLE="a # \"b\" \n" # comment
TWO_LINES="one
two"
NAMED=${PLAIN}2$PLAIN
DEFAULT=${NOBODY:-d}
HOME_OF=$HOME
DOLLAR=$$PLAIN
URL=postgres://lab:a#b@postgres:5432/lab
EQUALS=1=2
"""


def composed(text: str, folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """What Compose fills in for the variables of the file. Raises CalledProcessError where it cannot read it."""
    names = read_dotenv(READ, environment)
    lines = "".join(f'      {name}: "${{{name}}}"\n' for name in names)
    (folder / "compose.yaml").write_text(f"services:\n  a:\n    image: a\n    environment:\n{lines}", encoding="utf-8")
    (folder / ".env").write_text(text, encoding="utf-8")
    command = ["docker", "compose", "config", "--format", "json"]
    printed = subprocess.check_output(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    filled_in = json.loads(printed)["services"]["a"]["environment"]
    return {name: value.replace("$$", "$") for name, value in filled_in.items()}


@pytest.mark.usefixtures("engine")
def test_compose_reads_a_dotenv_file_as_the_lab_does(tmp_path: Path, clean_environment: dict[str, str]) -> None:
    environment = {"PATH": clean_environment["PATH"], "HOME": "/me"}  # which comes before the file
    assert read_dotenv(READ, environment) == composed(READ, tmp_path, environment)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("text", ["A='open\n", "A B=1\n", "=1\n"])
def test_compose_refuses_what_the_lab_refuses(text: str, tmp_path: Path, clean_environment: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        read_dotenv(text, clean_environment)
    with pytest.raises(subprocess.CalledProcessError):
        composed(text, tmp_path, clean_environment)
