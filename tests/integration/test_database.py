"""Pages of slow queries, from both servers with SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from loadtests.errors import LabDown
from loadtests.generator.page import fault
from loadtests.host.processes import ProcessRuntime
from services.aggregator.registry import variant_path
from tests.integration.waiting import PATIENCE
from tests.processes import running, urls

PAGES = ("orm_sync", "orm_to_async", "orm_async", "orm_gather")
every_page = pytest.mark.parametrize("page", PAGES)


@pytest.fixture(scope="module")
def database_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """URL by service, and of the metrics of each. Both make the table of the same file at the same time."""
    folder = tmp_path_factory.mktemp("database")
    where = f"sqlite:///{folder}/lab.sqlite3"
    with running(["wsgi-database", "asgi-database"], folder, DATABASE_URL=where) as runtime:
        yield urls(runtime)


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def orm(database_lab: Mapping[str, str], target: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=database_lab[f"{target}-database"], timeout=PATIENCE, trust_env=False) as client:
        yield client


@every_page
def test_a_page_is_whole_and_its_queries_come_one_after_the_other(orm: httpx.Client, page: str) -> None:
    answer = orm.get(variant_path(page), params={"fan_out": 3, "latency": 0.1})
    assert fault(answer.status_code, answer.content, page, 3) is None
    assert answer.json()["responses"] == [{"message": "Hello World!", "task_id": str(n)} for n in range(3)]
    assert answer.json()["elapsed"] >= 3 * 0.1


@every_page
def test_the_largest_page_is_whole(orm: httpx.Client, page: str) -> None:
    answer = orm.get(variant_path(page), params={"fan_out": 100, "latency": 0})
    assert fault(answer.status_code, answer.content, page, 100) is None


@every_page
def test_without_a_query_the_defaults_hold(orm: httpx.Client, page: str) -> None:
    answer = orm.get(variant_path(page))
    assert fault(answer.status_code, answer.content, page, 10) is None
    assert answer.json()["elapsed"] >= 10 * 0.05


@every_page
@pytest.mark.parametrize(
    "query", ["fan_out=0", "latency=11", "jitter=0.1", "fail=1", "hang=0.5", "hanging=1", "work=2"]
)
def test_what_a_query_cannot_do_is_refused_by_name(orm: httpx.Client, page: str, query: str) -> None:
    answer = orm.get(f"{variant_path(page)}?{query}")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == query.partition("=")[0]


@every_page
def test_a_page_computes_before_its_queries(orm: httpx.Client, page: str) -> None:
    answer = orm.get(variant_path(page), params={"fan_out": 1, "latency": 0, "work": 0.3})
    assert fault(answer.status_code, answer.content, page, 1) is None
    assert answer.json()["elapsed"] >= 0.3


@every_page
def test_a_knob_at_zero_is_no_request(orm: httpx.Client, page: str) -> None:
    answer = orm.get(f"{variant_path(page)}?fan_out=1&latency=0&jitter=0.0&fail=0.0&hanging=0&work=0.0")
    assert answer.status_code == 200


def test_only_safe_methods_are_allowed(orm: httpx.Client) -> None:
    assert orm.post(variant_path("orm_sync")).status_code == 405


def test_health_names_the_pages_and_the_database(orm: httpx.Client) -> None:
    health = orm.get("/healthz").json()
    assert health["variants"].items() >= {name: variant_path(name) for name in PAGES}.items()
    assert health["database"] == {"vendor": "sqlite", "pool": None}


@every_page
def test_under_asgi_every_page_queries_at_the_same_time_and_under_wsgi_as_many_as_there_are_slots(
    database_lab: Mapping[str, str], orm: httpx.Client, target: str, page: str
) -> None:
    """A thread that waits for SQLite holds up no other, under neither server."""
    users = 15
    with ThreadPoolExecutor(users) as pool:
        asked = [pool.submit(orm.get, variant_path(page), params={"fan_out": 2, "latency": 0.5}) for _ in range(users)]
    assert {one.result().status_code for one in asked} == {200}
    with httpx.Client(trust_env=False) as client:
        told = client.get(f"{database_lab[f'{target}-database metrics']}/metrics").text
    peak = float(next(line for line in told.splitlines() if line.startswith("lab_queries_in_flight_peak")).split()[1])
    assert peak == 10 if target == "wsgi" else 10 < peak <= users


def test_queries_side_by_side_take_as_long_as_one_after_the_other(orm: httpx.Client) -> None:
    asked = {"fan_out": 4, "latency": 0.1}
    for page in ("orm_async", "orm_gather"):
        assert orm.get(variant_path(page), params=asked).json()["elapsed"] >= 4 * 0.1


@every_page
def test_without_a_database_the_page_says_what_to_set(client: httpx.Client, page: str) -> None:
    answer = client.get(variant_path(page))
    assert answer.status_code == 501
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set DATABASE_URL" in answer.json()["detail"]
    assert client.get("/healthz").json()["database"] is None


@pytest.mark.parametrize(
    ("service", "url", "said"),
    [
        ("wsgi-database", "mysql://lab@db/pages", "DATABASE_URL must be like"),
        ("asgi-database", "sqlite:////nowhere/lab.sqlite3", "DATABASE_URL: the database cannot be used"),
        ("wsgi-database", "postgres://lab:secret@127.0.0.1:9/lab", "DATABASE_URL: the database cannot be used"),
        ("asgi-database", "postgres://lab:secret@127.0.0.1:9/lab", "DATABASE_URL: the database cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_stops_the_start_and_is_named(
    service: str, url: str, said: str, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("CONNECT_TIMEOUT", "1")
    runtime = ProcessRuntime(logs)
    runtime.prepare()
    try:
        with pytest.raises(LabDown) as down:
            runtime.up([service])
        assert "secret" not in json.dumps(runtime.describe())
    finally:
        runtime.down()
    log = (logs / f"{service}.log").read_text()
    assert said in log
    assert "secret" not in log
    assert service in str(down.value)
