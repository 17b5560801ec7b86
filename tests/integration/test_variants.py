"""Every variant is a page, and each does what it is there to show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import httpx
import pytest

from loadtests import ROOT, experiments
from loadtests.analysis.readings import grown
from loadtests.generator import page
from loadtests.model.server_metrics import LOOP_LAG
from services.aggregator.pitfalls import BLOCKED, OWN_VIEW
from services.aggregator.settings import MIDDLEWARE_SETS
from services.aggregator.variants import STRATEGIES, VARIANTS
from tests.integration.waiting import read, user_who_leaves, wait_until
from tests.processes import running, urls

DEADLINE = float(os.environ["DEADLINE"])
CALL_TIMEOUT = float(os.environ["CALL_TIMEOUT"])

# They share an async client with the whole process, which only ASGI's one event loop allows.
ASGI_ONLY = {"client_httpx", "client_httpx_aiohttp", "client_httpx2", "client_aiohttp", "client_default_limits"}
DATABASE = {"orm_sync", "orm_to_async", "orm_async", "orm_gather"}  # tests/integration/test_database.py
BOTH = sorted(set(VARIANTS) - ASGI_ONLY - DATABASE)


def ask(client: httpx.Client, variant: str, **query: float) -> httpx.Response:
    return client.get(VARIANTS[variant].url_path, params=query)


def fault(answer: httpx.Response, variant: str, fan_out: int) -> str | None:
    return page.fault(answer.status_code, answer.content, variant, fan_out)


@pytest.fixture
def wsgi(clients: Mapping[str, httpx.Client]) -> httpx.Client:
    return clients["wsgi"]


@pytest.fixture
def asgi(clients: Mapping[str, httpx.Client]) -> httpx.Client:
    return clients["asgi"]


# --- what all have in common --------------------------------------------------------------------


def test_a_target_says_which_variants_it_has(client: httpx.Client) -> None:
    said = client.get("/healthz").json()
    without = {name for name in VARIANTS if not name.startswith("orm_")}  # they need a database
    assert said["variants"] == {name: f"/api/variants/{name.replace('_', '-')}/" for name in without}
    assert set(said["strategies"]) == set(STRATEGIES)
    assert said["middleware_set"] == "lab"


@pytest.mark.parametrize("variant", BOTH)
def test_a_variant_answers_a_whole_page(client: httpx.Client, target: str, variant: str) -> None:
    answer = ask(client, variant, fan_out=5, latency=0.01)
    assert fault(answer, variant, 5) is None
    assert target.upper() in answer.json()["server"]
    assert answer.json()["message"]
    assert answer.json()["elapsed"] >= 0.01


@pytest.mark.parametrize("variant", sorted(ASGI_ONLY))
def test_a_shared_async_client_serves_pages_under_asgi(asgi: httpx.Client, variant: str) -> None:
    assert [fault(ask(asgi, variant, fan_out=5), variant, 5) for _ in range(3)] == [None] * 3


@pytest.mark.parametrize("variant", sorted(ASGI_ONLY))
def test_a_shared_async_client_is_refused_under_wsgi_with_the_reason(wsgi: httpx.Client, variant: str) -> None:
    answer = ask(wsgi, variant)
    assert answer.status_code == 501
    assert answer.headers["content-type"] == "application/problem+json"
    assert "event loop" in answer.json()["detail"]


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - DATABASE))
def test_a_variant_refuses_a_bad_value_by_name(asgi: httpx.Client, variant: str) -> None:
    answer = ask(asgi, variant, fan_out=101)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "fan_out")


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - DATABASE))
def test_a_page_one_of_whose_calls_failed_is_no_page(asgi: httpx.Client, variant: str) -> None:
    answer = ask(asgi, variant, fan_out=2, latency=0, fail=1)
    assert "503" in (fault(answer, variant, 2) or "")


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - DATABASE))
def test_a_page_computes_as_long_as_it_is_asked_to(lab: Mapping[str, str], asgi: httpx.Client, variant: str) -> None:
    before = read(lab, "asgi")
    answer = ask(asgi, variant, fan_out=1, latency=0, work=0.1)
    assert answer.json()["elapsed"] >= 0.1
    assert (grown(before, read(lab, "asgi"), "lab_cpu_seconds_total") or 0) >= 0.08  # the kernel counts in ticks


# --- work that a page does not wait for -----------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "target", "end"),
    [
        ("fire_and_forget", "asgi", "finished"),
        ("fire_and_forget", "wsgi", "cancelled"),
        ("hand_over", "asgi", "finished"),
        ("hand_over", "wsgi", "finished"),
    ],
)
def test_what_becomes_of_work_that_outlives_its_page(
    lab: Mapping[str, str], client: httpx.Client, variant: str, target: str, end: str
) -> None:
    before = read(lab, target)

    def how_many(what: str) -> float | None:
        return grown(before, read(lab, target), f"lab_background_{what}_total")

    assert fault(ask(client, variant, fan_out=2, latency=0.2), variant, 2) is None
    assert how_many("started") == 1
    wait_until(lambda: how_many(end) == 1)
    assert (how_many("finished") or 0) + (how_many("cancelled") or 0) == 1


# --- deadlines ------------------------------------------------------------------------------------


def test_a_page_whose_deadline_passes_is_a_504_that_says_so(client: httpx.Client) -> None:
    answer = ask(client, "deadline", fan_out=3, hanging=1)
    assert answer.status_code == 504
    assert answer.headers["content-type"] == "application/problem+json"
    assert f"deadline of {DEADLINE:g} s" in answer.json()["detail"]
    assert answer.elapsed.total_seconds() >= DEADLINE


@pytest.mark.parametrize(("variant", "stay"), [("partial", 0), ("partial_threads", 2)])
def test_a_partial_page_names_what_did_not_come_and_only_threads_stay_with_it(
    lab: Mapping[str, str], client: httpx.Client, target: str, variant: str, stay: int
) -> None:
    """A call that stays ends by its own timeout, and one that is cancelled does not."""
    wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 0)
    before = read(lab, target)
    answer = ask(client, variant, fan_out=5, latency=0.001, hanging=2)
    assert answer.elapsed.total_seconds() >= DEADLINE
    assert answer.json()["missing"] == ["0", "1"]
    assert [response["task_id"] for response in answer.json()["responses"]] == ["2", "3", "4"]
    assert fault(answer, variant, 5) is None
    wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 0)
    wait_until(lambda: read(lab, target).number("lab_upstream_calls_in_flight") == 0)
    assert grown(before, read(lab, target), "lab_upstream_timeouts_total") == stay


# --- streaming ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "target"), [("stream", "asgi"), ("stream_threads", "wsgi")])
def test_a_streamed_page_begins_before_its_last_call_and_counts_until_its_last_byte(
    lab: Mapping[str, str], client: httpx.Client, variant: str, target: str
) -> None:
    wait_until(lambda: read(lab, target).number("lab_pages_in_flight") == 0)
    with client.stream("GET", VARIANTS[variant].url_path, params={"fan_out": 3, "latency": 1}) as answer:
        parts = answer.iter_text()
        first = next(parts)
        assert first.endswith('"responses": [')
        wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 3)
        wait_until(lambda: read(lab, target).number("lab_pages_in_flight") == 1)
        whole = first + "".join(parts)
    assert page.fault(answer.status_code, whole.encode(), variant, 3) is None
    assert json.loads(whole)["elapsed"] >= 1
    wait_until(lambda: read(lab, target).number("lab_pages_in_flight") == 0)


@pytest.mark.parametrize("variant", ["stream", "stream_threads"])
def test_a_streamed_page_holds_its_responses_in_order_of_arrival(client: httpx.Client, variant: str) -> None:
    answer = ask(client, variant, fan_out=10, latency=0, jitter=0.2)
    assert answer.json()["order"] == "arrival"
    assert fault(answer, variant, 10) is None


@pytest.mark.parametrize(("variant", "target"), [("stream", "wsgi"), ("stream_threads", "asgi")])
def test_what_suits_the_other_interface_is_collected_before_its_first_byte(client: httpx.Client, variant: str) -> None:
    asked = perf_counter()
    with client.stream("GET", VARIANTS[variant].url_path, params={"fan_out": 3, "latency": 0.3}) as answer:
        parts = answer.iter_text()
        first = next(parts)
        assert perf_counter() - asked >= 0.3
        whole = first + "".join(parts)
    assert page.fault(answer.status_code, whole.encode(), variant, 3) is None


def test_a_streamed_page_whose_user_has_gone_is_cancelled_under_asgi(lab: Mapping[str, str]) -> None:
    wait_until(lambda: read(lab, "asgi").number("lab_pages_in_flight") == 0)
    before = read(lab, "asgi")
    with user_who_leaves(f"{lab['asgi']}{VARIANTS['stream'].url_path}?fan_out=3&latency=2"):
        wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 3)
    wait_until(lambda: grown(before, read(lab, "asgi"), "lab_pages_cancelled_total") == 1)
    wait_until(lambda: read(lab, "asgi").number("lab_upstream_calls_in_flight") == 0)
    wait_until(lambda: read(lab, "asgi").number("lab_pages_in_flight") == 0)


# --- views ----------------------------------------------------------------------------------------


def test_a_class_based_view_answers_get_and_post_alike(client: httpx.Client) -> None:
    path = VARIANTS["gather_class"].url_path
    for method in ("GET", "POST"):
        assert fault(client.request(method, path, params={"fan_out": 3}), "gather_class", 3) is None
    assert client.put(path).status_code == 405
    assert client.post(path, params={"fan_out": 0}).json()["parameter"] == "fan_out"


# --- pitfalls -------------------------------------------------------------------------------------


def test_a_blocking_call_holds_up_every_other_page(lab: Mapping[str, str], asgi: httpx.Client) -> None:
    before = read(lab, "asgi")
    with ThreadPoolExecutor(20) as threads:
        blocking = [threads.submit(ask, asgi, "blocking_call", fan_out=1) for _ in range(20)]
        wait_until(lambda: (read(lab, "asgi").number("lab_pages_in_flight") or 0) > 1)
        assert ask(asgi, "gather_class", fan_out=1, latency=0).elapsed.total_seconds() > BLOCKED
        assert all(fault(each.result(), "blocking_call", 1) is None for each in blocking)
    after = read(lab, "asgi")
    late = {edge: count - before.buckets[LOOP_LAG][edge] for edge, count in after.buckets[LOOP_LAG].items()}
    assert late[float("inf")] - late[0.05] > 0


def test_a_client_for_each_page_opens_all_its_connections_anew(lab: Mapping[str, str], asgi: httpx.Client) -> None:
    before = read(lab, "asgi")
    for _ in range(2):
        ask(asgi, "client_per_page", fan_out=5)
    assert grown(before, read(lab, "asgi"), "lab_upstream_connections_opened_total") == 10


def test_a_client_with_default_limits_makes_no_more_than_100_calls_at_once(
    lab: Mapping[str, str], asgi: httpx.Client
) -> None:
    wait_until(lambda: read(lab, "api").number("lab_calls_in_flight") == 0)
    most = 0
    with ThreadPoolExecutor(2) as threads:
        pages = [threads.submit(ask, asgi, "client_default_limits", fan_out=75, latency=1.5) for _ in range(2)]
        while not all(each.done() for each in pages):
            most = max(most, read(lab, "api").number("lab_calls_in_flight") or 0)
        assert all(fault(each.result(), "client_default_limits", 75) is None for each in pages)
    assert 20 < most <= 100  # and not only those 20 whose connections it keeps


def test_its_own_view_answers_as_the_api_does(client: httpx.Client) -> None:
    answer = client.get(OWN_VIEW, params={"task_id": 3, "latency": 0.1})
    assert answer.json() == {"message": "Hello World!", "task_id": "3"}
    assert answer.elapsed.total_seconds() >= 0.1
    assert client.get(OWN_VIEW, params={"fail": 1}).status_code == 503
    assert client.get(OWN_VIEW, params={"latency": 11}).json()["parameter"] == "latency"


def test_more_pages_than_slots_that_call_their_own_server_stop_it(lab: Mapping[str, str], wsgi: httpx.Client) -> None:
    pages = 15  # of 10 slots
    with ThreadPoolExecutor(pages) as threads:  # each computes first, so that the others get their slots meanwhile
        asked = [threads.submit(ask, wsgi, "self_call", fan_out=1, latency=0, work=0.05) for _ in range(pages)]
        stopped = [each.result() for each in asked if each.result().status_code == 504]
    assert stopped
    assert all(answer.elapsed.total_seconds() >= CALL_TIMEOUT for answer in stopped)
    wait_until(lambda: read(lab, "wsgi").number("lab_pages_in_flight") == 0)


def test_pages_that_call_their_own_server_have_no_slots_to_wait_for_under_asgi(asgi: httpx.Client) -> None:
    with ThreadPoolExecutor(20) as threads:
        asked = [threads.submit(ask, asgi, "self_call", fan_out=1, latency=0.1) for _ in range(20)]
        assert [fault(each.result(), "self_call", 1) for each in asked] == [None] * 20


# --- middleware -----------------------------------------------------------------------------------


HOOKS = """
import django
django.setup()
from django.conf import settings
from django.utils.module_loading import import_string
shipped = [import_string(path) for path in settings.MIDDLEWARE if path.startswith("django.")]
hooks = ("process_request", "process_view", "process_response")
print(len(shipped), sum(hasattr(one, hook) for one in shipped for hook in hooks))
"""


def test_the_lesson_counts_the_hops_of_startprojects_middleware() -> None:
    """Under ASGI each hook of those that Django ships is a switch to a thread."""
    environment = {**os.environ, "MIDDLEWARE_SET": "django", "DJANGO_SETTINGS_MODULE": "services.aggregator.settings"}
    done = subprocess.run(
        [sys.executable, "-c", HOOKS], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["7", "13"]
    assert "thirteen for startproject's seven" in experiments.find("middleware").lesson


@pytest.mark.parametrize("name", sorted(set(MIDDLEWARE_SETS) - {"lab"}))
def test_pages_are_the_same_with_any_set_of_middleware(name: str, tmp_path: Path) -> None:
    with running(["wsgi", "asgi"], tmp_path, MIDDLEWARE_SET=name) as runtime:
        lab = urls(runtime)
        for target in ("wsgi", "asgi"):
            with httpx.Client(base_url=lab[target], timeout=30, trust_env=False) as client:
                assert client.get("/healthz").json()["middleware"] == MIDDLEWARE_SETS[name]
                for path in (STRATEGIES["gather"].url_path, STRATEGIES["sequential"].url_path):
                    before = read(lab, target)
                    answer = client.get(path, params={"fan_out": 3})
                    assert [response["task_id"] for response in answer.json()["responses"]] == ["0", "1", "2"]
                    assert ("server-timing" in answer.headers) == (name != "none")
                    wait_until(lambda: grown(before, read(lab, target), "lab_pages_finished_total") == 1)  # noqa: B023
                    wait_until(lambda: read(lab, target).number("lab_pages_in_flight") == 0)  # noqa: B023
                assert client.post(VARIANTS["gather_class"].url_path).status_code == 200


@pytest.mark.parametrize(("threads", "each"), [("each", True), ("no_receivers", False), ("shared", False)])
def test_an_async_page_holds_a_thread_of_django_only_where_django_is_as_it_comes(
    threads: str,
    each: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    pages = 20
    with running(["asgi"], tmp_path, DJANGO_THREADS=threads) as runtime:
        lab = urls(runtime)
        url = f"{lab['asgi']}{STRATEGIES['gather'].url_path}?fan_out=1&latency=3"
        with ThreadPoolExecutor(pages) as pool, httpx.Client(timeout=60, trust_env=False) as client:
            before = read(lab, "asgi").number("lab_threads") or 0
            asking = [pool.submit(client.get, url) for _ in range(pages)]
            wait_until(lambda: read(lab, "asgi").number("lab_pages_in_flight") == pages)
            more = (read(lab, "asgi").number("lab_threads") or 0) - before
            assert all(one.result().status_code == 200 for one in asking)
    assert (more >= pages) if each else (more < pages / 2)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MIDDLEWARE_SET": "all"}, "MIDDLEWARE_SET must be lab or none or sync_only or django; it is 'all'"),
        ({"DJANGO_THREADS": "none"}, "DJANGO_THREADS must be each or no_receivers or shared; it is 'none'"),
        (
            {"DJANGO_THREADS": "shared", "DATABASE_URL": "sqlite:////tmp/x", "DATABASE_POOL": "1"},
            "DJANGO_THREADS must be each where DATABASE_URL is set; it is 'shared'",
        ),
    ],
)
def test_django_in_a_way_that_there_is_not_stops_the_start_by_name(variables: dict[str, str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import services.aggregator.settings"],
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert said in done.stderr
