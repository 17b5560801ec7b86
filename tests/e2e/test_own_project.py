"""A project of somebody's own, with packages of its own, measured in containers by one command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.runs import Lab, one_line, says_its_verdict

SETUP = "python manage.py migrate && python manage.py fill"
SQLITE = {"APP_ENV": "project.env"}
POSTGRESQL = {"APP_ENV": "postgres.env", "APP_COMPOSE": "lab.yaml"}


@pytest.mark.parametrize("variables", [SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
def test_a_project_with_packages_a_login_and_a_database_runs_as_it_is(
    variables: dict[str, str], docker_lab: Lab, root: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    shutil.copytree(root / "tests" / "projects" / "notes", notes)
    before = {path: path.read_bytes() for path in notes.rglob("*") if path.is_file()}
    ended = docker_lab.run(
        "run", "--quick", "--users=3", APP=str(notes), APP_HOST="notes.example", APP_SETUP=SETUP, **variables
    )
    says_its_verdict(ended)
    summary = ended.summary
    steps = [step for arm in summary["arms"] for step in arm["steps"]]
    assert all(step["failures"] == 0 and step["pages"] for step in steps)
    assert all(len(step["by_page"]) == 3 for step in steps)
    assert all(step["cpu_per_page"] > 0 for step in steps)
    services = summary["manifest"]["services"]
    assert services["wsgi-own"]["memory_bytes"] == services["asgi-own"]["memory_bytes"] > 0
    assert "Views: / sync" in one_line(ended.output)
    assert {path: path.read_bytes() for path in notes.rglob("*") if path.is_file()} == before
    assert not list((tmp_path / "tmp").glob("lab-own-*"))
    left = b"".join(path.read_bytes() for path in ended.results.rglob("*") if path.is_file())
    assert b"nobody's business" not in left
    assert b"another secret" not in left
    assert ("postgres" in services) == (variables is POSTGRESQL)
    left_up = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.service=wsgi-own"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    assert not left_up.stdout
