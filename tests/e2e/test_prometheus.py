"""`docker compose --profile prometheus up`: Prometheus reads the metrics of all that is up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Stack, own_project
from tests.integration.waiting import wait_until

SCRAPED = ("api", "wsgi", "asgi", "wsgi-database")  # the last is on two networks
FOLDER = "/lab/prometheus"


@pytest.fixture(scope="module")
def prometheus_stack(engine: None, docker_environment: dict[str, str], root: Path) -> Iterator[Stack]:
    project = own_project("lab-test-prometheus", ("prometheus", *SCRAPED))
    profiles = {"COMPOSE_PROFILES": "prometheus,database", "LATENCY": "0.1"}
    stack = Stack({**docker_environment, **project, **profiles}, root)
    try:
        stack.compose("up", "--detach", "--build", "--wait", "prometheus", *SCRAPED)
        yield stack
    finally:
        stack.compose("down", "--timeout", "3")


def result(stack: Stack, query: str) -> dict[str, float]:
    """The value of a query now, by the name of the service."""
    url = f"{stack.url('prometheus')}/api/v1/query"
    found: list[dict[str, Any]] = httpx.get(url, params={"query": query}, trust_env=False).json()["data"]["result"]
    return {series["metric"].get("service", ""): float(series["value"][1]) for series in found}


def test_prometheus_may_do_little(prometheus_stack: Stack) -> None:
    inspected = prometheus_stack.inspect("prometheus")
    host = inspected["HostConfig"]
    assert inspected["State"]["Health"]["Status"] == "healthy"
    assert inspected["Config"]["User"] == "lab"
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["MemorySwap"] == host["Memory"] > 0
    bindings = [binding for ports in host["PortBindings"].values() for binding in ports]
    assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}


def test_no_page_of_another_site_reads_what_prometheus_knows(prometheus_stack: Stack) -> None:
    url = f"{prometheus_stack.url('prometheus')}/api/v1/query"
    answer = httpx.get(url, params={"query": "up"}, headers={"Origin": "http://evil.example"}, trust_env=False)
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("check", [("config", "prometheus.yml"), ("rules", "rules.yml")])
def test_promtool_finds_no_fault(prometheus_stack: Stack, check: tuple[str, str]) -> None:
    kind, file = check
    said = prometheus_stack.compose("exec", "-T", "prometheus", "promtool", "check", kind, f"{FOLDER}/{file}")
    assert "SUCCESS" in said


def test_all_that_is_up_is_scraped_by_its_name(prometheus_stack: Stack) -> None:
    up = "up * on (instance) group_left (service) target_info"
    wait_until(lambda: set(result(prometheus_stack, up)) == set(SCRAPED))
    # Of what is up and of nothing besides, a target each.
    wait_until(lambda: result(prometheus_stack, "count(up)") == result(prometheus_stack, "count(up == 1)") == {"": 4.0})


def test_a_recorded_rule_has_a_value_after_some_pages(prometheus_stack: Stack) -> None:
    def recorded() -> bool:
        for target in ("wsgi", "asgi"):
            page = f"{prometheus_stack.url(target)}/api/aggregated/"
            assert httpx.get(page, params={"fan_out": 3}, timeout=30, trust_env=False).status_code == 200
        pages = result(prometheus_stack, "service:pages_finished:rate30s > 0")
        lateness = result(prometheus_stack, "service:call_lateness_seconds:p99")
        cost = result(prometheus_stack, "service:cpu_per_page_seconds:ratio30s")
        return {"wsgi", "asgi"} <= pages.keys() & cost.keys() and lateness.get("api", 0) > 0

    wait_until(recorded)
    faults = httpx.get(f"{prometheus_stack.url('prometheus')}/api/v1/rules", trust_env=False).json()["data"]["groups"]
    assert {rule["health"] for group in faults for rule in group["rules"]} == {"ok"}
