from __future__ import annotations

import pytest

from loadtests.runtime import command_line
from loadtests.runtime.compose import depends_on


@pytest.mark.parametrize(
    ("url", "needed"),
    [
        ("sqlite:////tmp/lab.sqlite3", ["api"]),
        ("postgres://lab@postgres:5432/lab", ["api", "postgres"]),
        ("postgres://lab@db.example:5432/lab", ["api"]),
    ],
)
def test_a_database_of_the_labs_own_is_started_only_where_it_is_asked_for(url: str, needed: list[str]) -> None:
    service = {
        "depends_on": {"api": {"condition": "service_healthy"}, "postgres": {"required": False}},
        "environment": {"DATABASE_URL": url, "THREADS": 10},
    }
    assert depends_on(service) == needed


def test_a_command_is_shown_with_what_the_environment_fills_in() -> None:
    words = ["python", "-m", "services.supervise", "gunicorn", "--threads=$$THREADS", "--workers=$WORKERS", "$HOME x"]
    shown = command_line(words, {"THREADS": "50", "WORKERS": "4"})
    assert shown == "python -m services.supervise gunicorn --threads=50 --workers=4 '$HOME x'"
