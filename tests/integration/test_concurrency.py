"""The difference that the lab is about, with wide margins."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from loadtests import witness
from services.aggregator.strategies import STRATEGIES

LATENCY = 1.0  # seconds; long against the time that eleven requests take to arrive
SLOTS = 10


def slowest_of(url: str, pages: int) -> float:
    """Seconds until the last of so many simultaneous pages was there."""

    def page(_: int) -> None:
        httpx.get(url, timeout=30, trust_env=False).raise_for_status()

    started = time.perf_counter()
    with ThreadPoolExecutor(pages) as threads:
        list(threads.map(page, range(pages)))
    return time.perf_counter() - started


@pytest.mark.parametrize(("target", "strategy"), [("wsgi", "threadpool"), ("asgi", "gather")])
def test_as_many_pages_as_slots_take_one_turn(lab: Mapping[str, str], target: str, strategy: str) -> None:
    url = f"{lab[target]}{STRATEGIES[strategy].url_path}?fan_out=1&latency={LATENCY}"
    assert LATENCY <= slowest_of(url, SLOTS) < 2 * LATENCY


def test_one_page_more_than_slots_takes_two_turns_under_wsgi(lab: Mapping[str, str]) -> None:
    url = f"{lab['wsgi']}{STRATEGIES['threadpool'].url_path}?fan_out=1&latency={LATENCY}"
    assert 2 * LATENCY <= slowest_of(url, SLOTS + 1) < 3 * LATENCY


def test_one_page_more_takes_no_second_turn_under_asgi(lab: Mapping[str, str]) -> None:
    url = f"{lab['asgi']}{STRATEGIES['gather'].url_path}?fan_out=1&latency={LATENCY}"
    assert LATENCY <= slowest_of(url, SLOTS + 1) < 2 * LATENCY


def test_the_api_sees_the_external_concurrency(lab: Mapping[str, str]) -> None:
    with ThreadPoolExecutor(20) as threads:
        url = f"{lab['asgi']}{STRATEGIES['gather'].url_path}?fan_out=10&latency={LATENCY}"
        pages = [threads.submit(httpx.get, url, timeout=30, trust_env=False) for _ in range(20)]
        wait_until(lambda: calls_in_flight(lab) > SLOTS * 10)
        assert all(page.result().status_code == 200 for page in pages)
    wait_until(lambda: calls_in_flight(lab) == 0)


def test_a_vanished_client_cancels_its_calls_under_asgi(lab: Mapping[str, str]) -> None:
    url = f"{lab['asgi']}{STRATEGIES['gather'].url_path}?fan_out=10&latency=10"
    started = time.perf_counter()
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(url, timeout=httpx.Timeout(5, read=0.3), trust_env=False)
    wait_until(lambda: calls_in_flight(lab) == 0)
    assert time.perf_counter() - started < float(os.environ["CALL_TIMEOUT"])  # when they would have given up


def test_a_vanished_client_does_not_stop_its_page_under_wsgi(lab: Mapping[str, str]) -> None:
    url = f"{lab['wsgi']}{STRATEGIES['threadpool'].url_path}?fan_out=3&latency=1.5"
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(url, timeout=httpx.Timeout(5, read=0.5), trust_env=False)
    assert calls_in_flight(lab) == 3
    wait_until(lambda: calls_in_flight(lab) == 0)


def calls_in_flight(lab: Mapping[str, str]) -> int:
    reading = witness.read(lab["api witness"])
    assert reading is not None
    return reading.number("lab_calls_in_flight") or 0


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
