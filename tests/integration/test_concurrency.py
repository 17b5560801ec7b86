"""The difference that the lab is about, as the services count it."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from loadtests.analysis.capacity import OF_QUERIES, ONE_AFTER_THE_OTHER
from loadtests.analysis.readings import grown
from loadtests.host import topology
from services.aggregator.variants import STRATEGIES, VARIANTS
from tests.integration.waiting import PATIENCE, read, user_who_leaves, wait_until

LATENCY = 2.0  # seconds; long against the time that fifteen requests take to arrive
SLOTS = int(topology.services({})["wsgi"].environment["THREADS"])
PAGES = SLOTS + 5


def page_url(lab: Mapping[str, str], target: str, fan_out: int, latency: float) -> str:
    strategy = STRATEGIES["threadpool" if target == "wsgi" else "gather"]
    return f"{lab[target]}{strategy.url_path}?fan_out={fan_out}&latency={latency}"


def wait_until_idle(lab: Mapping[str, str], target: str) -> None:
    wait_until(lambda: read(lab, target).number("lab_pages_in_flight") == 0)
    wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 0)


@pytest.mark.parametrize(
    ("target", "inside", "queued", "turns"),
    [("wsgi", SLOTS, PAGES - SLOTS, 2), ("asgi", PAGES, 0, 1)],
)
def test_as_many_pages_as_slots_are_worked_on_the_others_wait_and_without_slots_none_does(
    lab: Mapping[str, str], target: str, inside: int, queued: int, turns: int
) -> None:
    """Seen while no slot is left to ask for it; who waits for a slot waits a whole page longer."""
    wait_until_idle(lab, target)
    url = page_url(lab, target, 2, LATENCY)
    started = time.perf_counter()
    with ThreadPoolExecutor(PAGES) as threads:
        pages = [threads.submit(httpx.get, url, timeout=PATIENCE, trust_env=False) for _ in range(PAGES)]
        wait_until(lambda: read(lab, target).number("lab_pages_in_flight") == inside)
        wait_until(lambda: read(lab, target).number("lab_requests_queued") == queued)
        wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 2 * inside)
        assert all(page.result().status_code == 200 for page in pages)
    assert time.perf_counter() - started >= turns * LATENCY
    assert read(lab, target).number("lab_requests_queued") == 0
    wait_until_idle(lab, target)
    if target == "wsgi":
        assert read(lab, target).number("lab_pages_in_flight_peak") == SLOTS


def test_a_slot_that_waits_for_the_rest_of_a_request_is_busy_without_a_page(lab: Mapping[str, str]) -> None:
    wait_until_idle(lab, "wsgi")
    url = httpx.URL(lab["wsgi"])
    with socket.create_connection((url.host, url.port or 0)) as half:
        half.sendall(b"GET /api/aggregated/ HTTP/1.1\r\nHost: lab\r\n")
        wait_until(lambda: read(lab, "wsgi").number("lab_slots_in_flight") == 1)
        assert read(lab, "wsgi").number("lab_pages_in_flight") == 0
    wait_until(lambda: read(lab, "wsgi").number("lab_slots_in_flight") == 0)


@pytest.mark.parametrize(
    ("target", "end", "other", "answered"),
    [("wsgi", "finished", "cancelled", 3), ("asgi", "cancelled", "finished", 0)],
)
def test_a_user_who_leaves_ends_the_page_and_its_calls_under_asgi_and_neither_under_wsgi(
    lab: Mapping[str, str], target: str, end: str, other: str, answered: int
) -> None:
    wait_until_idle(lab, target)
    page, calls = read(lab, target), read(lab, "api")
    with user_who_leaves(page_url(lab, target, 3, LATENCY)):
        wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 3)
    wait_until(lambda: grown(page, read(lab, target), f"lab_pages_{end}_total") == 1)
    wait_until_idle(lab, target)
    assert grown(page, read(lab, target), f"lab_pages_{other}_total") == 0
    assert grown(calls, read(lab, "api"), 'lab_calls_total{how="answered"}') == answered


WITHOUT_ITS_CALLS = {*OF_QUERIES, "self_call"}  # they call no api
ENDS_BEFORE_ITS_CALLS = {"deadline", "partial", "partial_threads"}


@pytest.mark.parametrize("name", sorted({*STRATEGIES, *VARIANTS} - WITHOUT_ITS_CALLS - ENDS_BEFORE_ITS_CALLS))
def test_the_prediction_knows_which_pages_make_their_calls_one_after_the_other(
    lab: Mapping[str, str], name: str
) -> None:
    """A page of 3 calls has 3 of them at the api at once, or 1 at a time: then capacity.py has to name it.

    One that does neither says `unpredicted=True` where it is registered.
    """
    wait_until_idle(lab, "asgi")
    kind = {**STRATEGIES, **VARIANTS}[name]
    at_once: Counter[int] = Counter()  # a call that another page left behind may be seen, but not for long

    def page_is_done() -> bool:
        at_once[read(lab, "api").number("lab_calls_in_flight") or 0] += 1
        return page.done()

    with ThreadPoolExecutor(1) as thread:
        page = thread.submit(httpx.get, f"{lab['asgi']}{kind.url_path}?fan_out=3&latency=0.5", timeout=PATIENCE)
        wait_until(page_is_done)
    assert page.result().status_code == 200
    del at_once[0]
    assert kind.unpredicted or at_once.most_common(1)[0][0] == (1 if name in ONE_AFTER_THE_OTHER else 3)
