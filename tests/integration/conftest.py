"""The real servers over loopback, started once, as `make loadtest` starts them without Docker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.processes import running, urls

PATIENCE = 30.0  # seconds; only a hang takes so long


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """URL by service, and of each service's witness; a call takes 0.05 s where nothing else is asked for."""
    with running(["wsgi", "asgi"], tmp_path_factory.mktemp("logs")) as runtime:
        yield urls(runtime)


@pytest.fixture(params=["wsgi", "asgi"])
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(lab: Mapping[str, str], target: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab[target], timeout=PATIENCE, trust_env=False) as client:
        yield client


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"
