"""Pages of slow queries, from containers with the lab's own PostgreSQL."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import httpx
import pytest

from loadtests.generator.page import fault
from services.aggregator.registry import variant_path
from tests.e2e.conftest import Stack, own_project
from tests.e2e.test_stack import asked

TARGETS = ("wsgi-database", "asgi-database")
URL = "postgres://lab@postgres:5432/lab"
every_target = pytest.mark.parametrize("target", TARGETS)
PAGES = ("orm_sync", "orm_to_async", "orm_async", "orm_gather")
every_page = pytest.mark.parametrize("page", PAGES)


@pytest.fixture(scope="module")
def database_stack(engine: None, docker_environment: dict[str, str], root: Path) -> Iterator[Stack]:
    """Both make the table of the same database at the same time."""
    environment = {**docker_environment, **own_project("lab-test-database", ("api", *TARGETS)), "DATABASE_URL": URL}
    stack = Stack({**environment, "COMPOSE_PROFILES": "database,postgres", "DATABASE_POOL": "20"}, root)
    try:
        stack.compose("up", "--detach", "--build", "--wait", "postgres", *TARGETS)
        yield stack
    finally:
        stack.compose("down", "--timeout", "3")


def test_postgresql_may_do_little_and_is_not_published(database_stack: Stack) -> None:
    inspected = database_stack.inspect("postgres")
    host = inspected["HostConfig"]
    assert inspected["State"]["Health"]["Status"] == "healthy"
    assert inspected["Config"]["User"] == "postgres"
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["PortBindings"]


COMMAND = """
import psycopg, sys
try:
    with psycopg.connect(sys.argv[1], connect_timeout=9) as connection:
        connection.execute("COPY (SELECT 1) TO PROGRAM 'touch /tmp/owned'")
except psycopg.Error as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (URL, "InsufficientPrivilege"),
        ("postgres://postgres@postgres:5432/postgres", "no pg_hba.conf entry"),
        ("postgres://postgres@postgres:5432/lab", "no pg_hba.conf entry"),
        ("postgres://lab@postgres:5432/postgres", "no pg_hba.conf entry"),
    ],
)
def test_who_reaches_the_database_cannot_run_a_program_there(database_stack: Stack, url: str, said: str) -> None:
    answer = database_stack.compose("exec", "-T", "wsgi-database", "python", "-c", COMMAND, url)
    assert said in answer
    assert not database_stack.compose("exec", "-T", "postgres", "sh", "-c", "ls /tmp | grep owned || true").strip()


def test_the_host_does_not_reach_the_database(database_stack: Stack) -> None:
    [network] = database_stack.inspect("postgres")["NetworkSettings"]["Networks"].values()
    wants_tls = struct.pack(">ii", 8, 80877103)  # PostgreSQL answers with an N or an S
    assert asked((network["IPAddress"], 5432), wants_tls) not in {b"N", b"S"}


@every_target
@every_page
def test_a_page_of_slow_queries_is_whole(database_stack: Stack, target: str, page: str) -> None:
    url = f"{database_stack.url(target)}{variant_path(page)}"
    answer = httpx.get(url, params={"fan_out": 3, "latency": 0.1}, timeout=30, trust_env=False)
    assert fault(answer.status_code, answer.content, page, 3) is None
    assert answer.json()["elapsed"] >= 3 * 0.1


@every_target
def test_health_names_the_database_and_its_pool(database_stack: Stack, target: str) -> None:
    health = httpx.get(f"{database_stack.url(target)}/healthz", trust_env=False).json()
    assert health["database"] == {"vendor": "postgresql", "pool": 20}
    assert {name: size for name, size in health["pools"].items() if name in PAGES} == dict.fromkeys(PAGES, 20)
    assert {"psycopg", "psycopg-pool"} <= health["packages"].keys()


@every_page
def test_a_page_waits_for_a_connection_when_the_pool_is_empty(database_stack: Stack, page: str) -> None:
    """40 pages with 20 connections take at least twice as long as one."""
    asked = perf_counter()
    url = f"{database_stack.url('asgi-database')}{variant_path(page)}?fan_out=2&latency=0.5"
    with httpx.Client(timeout=30, trust_env=False) as client, ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: client.get(url), range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert perf_counter() - asked >= 2 * 2 * 0.5
