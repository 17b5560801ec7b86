"""The real servers over loopback, started once, as `make loadtest` starts them without Docker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.integration.waiting import PATIENCE
from tests.processes import running, urls


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """URL by service, and of each service's metrics; a call takes 0.05 s where nothing else is asked for."""
    with running(["wsgi", "asgi"], tmp_path_factory.mktemp("logs")) as runtime:
        yield urls(runtime)


@pytest.fixture(params=["wsgi", "asgi"])
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def clients(lab: Mapping[str, str]) -> Iterator[Mapping[str, httpx.Client]]:
    """By service, made once: making one takes longer than most tests do with it."""
    with ExitStack() as opened:
        yield {
            name: opened.enter_context(httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False))
            for name, url in lab.items()
        }


@pytest.fixture
def client(clients: Mapping[str, httpx.Client], target: str) -> httpx.Client:
    return clients[target]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"
