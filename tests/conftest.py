"""What the tests share. The services' settings come from the environment: give them some before any import."""

from __future__ import annotations

import os
from pathlib import Path

import django
import pytest

ROOT = Path(__file__).resolve().parents[1]

# As a person's shell has it, for what the tests start as a person would.
CLEAN_ENVIRONMENT = dict(os.environ)

os.environ.update(
    DJANGO_SETTINGS_MODULE="services.aggregator.settings",
    TARGET="test",
    WORKERS="1",
    THREADS="0",
    API_URL="http://127.0.0.1:9/api/",
    FAN_OUT="10",
    CONNECT_TIMEOUT="2",
    CALL_TIMEOUT="4",
    MAX_CONNECTIONS="10000",
    THREADPOOL="1000",
    WORK="0",
    DEADLINE="0.5",
    SELF_URL="http://127.0.0.1:9",
    MIDDLEWARE_SET="lab",
    LATENCY="0.05",
    JITTER="0",
    FAIL="0",
    HANG="0",
    SEED="1",
    TELEMETRY="on",
)
os.environ.pop("DATABASE_URL", None)
django.setup()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `make test` run what needs containers beside what does not; each of the two in a process, one at a time."""
    item.add_marker(pytest.mark.xdist_group("containers" if "e2e" in item.path.parts else "processes"))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    return {name: value for name, value in CLEAN_ENVIRONMENT.items() if not name.startswith("PYTEST")}
