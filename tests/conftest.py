"""What the tests share. The services' settings come from the environment: give them some before any import."""

from __future__ import annotations

import os
from pathlib import Path

import django
import pytest

ROOT = Path(__file__).resolve().parents[1]

os.environ.update(
    DJANGO_SETTINGS_MODULE="services.aggregator.settings",
    TARGET="test",
    WORKERS="1",
    THREADS="0",
    API_URL="http://127.0.0.1:9/api/",
    FAN_OUT="10",
    CONNECT_TIMEOUT="2",
    CALL_TIMEOUT="2",
    MAX_CONNECTIONS="100",
    THREADPOOL="50",
    LATENCY="0.05",
    JITTER="0",
    FAIL="0",
    HANG="0",
    SEED="1",
)
django.setup()


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
