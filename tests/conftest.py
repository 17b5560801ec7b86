"""What the tests share. The services' settings come from the environment: give them some before any import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django
import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]

SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "services.aggregator.settings",
    "TARGET": "test",
    "WORKERS": "1",
    "INTERFACE": "asgi",
    "API_URL": "http://127.0.0.1:9/api/",
    "FAN_OUT": "10",
    "CONNECT_TIMEOUT": "2",
    "CALL_TIMEOUT": "4",
    "MAX_CONNECTIONS": "10000",
    "THREADPOOL": "1000",
    "WORK": "0",
    "DEADLINE": "0.5",
    "SELF_URL": "http://127.0.0.1:9",
    "MIDDLEWARE_SET": "lab",
    "DJANGO_THREADS": "each",
    "TRACE": "0",
    "LATENCY": "0.05",
    "JITTER": "0",
    "LATENCY_P99": "0",
    "CORRELATED": "0",
    "FAIL": "0",
    "HANG": "0",
    "SEED": "1",
    "UPSTREAMS": os.devnull,
    "TELEMETRY": "on",
    "TELEMETRY_ADDRESS": "127.0.0.1:9",
}

# As a person's shell has it, for what the tests start as a person would. Workers of pytest-xdist inherit the settings.
CLEAN_ENVIRONMENT = {name: value for name, value in os.environ.items() if SETTINGS.get(name) != value}

os.environ.update(SETTINGS)
os.environ.pop("DATABASE_URL", None)
django.setup()


class FolderByFolder(LoadScopeScheduling):  # type: ignore[misc]  # it carries no types
    """Each folder of tests stays in one process, one test at a time: containers run beside local processes."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0].rpartition("/")[0]  # the id of a parameter may hold a slash, too


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FolderByFolder:
    return FolderByFolder(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    return {name: value for name, value in CLEAN_ENVIRONMENT.items() if not name.startswith("PYTEST")}
