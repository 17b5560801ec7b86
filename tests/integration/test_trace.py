"""A page with a sampled `traceparent` leaves its spans with the process beside the server; no other page does."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.aggregator.variants import STRATEGIES, VARIANTS
from services.telemetry import scrape
from tests.integration.waiting import PATIENCE, wait_until
from tests.processes import running, urls

FAN_OUT = 4
DJANGO = {"thread: sync_send": 1, "thread: close": 1}  # signals, and the response's end: under ASGI in a thread
OF_A_PAGE = [  # target, how its page is made, and its spans besides the page and its calls
    ("wsgi", "sequential", {}),
    ("wsgi", "threadpool", {"wait for a thread": FAN_OUT}),
    ("wsgi", "gather", {"event loop: aview": 1}),
    ("asgi", "gather", DJANGO),
    ("asgi", "sequential", {**DJANGO, "thread: view": 1}),
    ("asgi", "client_aiohttp", DJANGO),
]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    variables = {"TRACE": "1", "WSGI_WORKERS": "2", "MAX_CONNECTIONS": str(FAN_OUT)}
    with running(["wsgi", "asgi"], tmp_path_factory.mktemp("logs"), **variables) as runtime:
        yield urls(runtime)


def ask(
    lab: Mapping[str, str], target: str, name: str, headers: Mapping[str, str] | None = None, fan_out: int = FAN_OUT
) -> None:
    url = f"{lab[target]}{({**STRATEGIES, **VARIANTS})[name].url_path}?fan_out={fan_out}&latency=0.05"
    httpx.get(url, headers=headers, timeout=PATIENCE, trust_env=False).raise_for_status()


def sampled() -> tuple[str, str, dict[str, str]]:
    """The ids of a trace and of its root, and the header of a page that belongs to it."""
    trace, root = secrets.token_hex(16), secrets.token_hex(8)
    return trace, root, {"traceparent": f"00-{trace}-{root}-01"}


def spans(lab: Mapping[str, str], target: str) -> list[dict[str, Any]]:
    text = httpx.get(f"{lab[f'{target} metrics']}/spans", timeout=PATIENCE, trust_env=False).text
    resources = [resource for line in text.splitlines() for resource in json.loads(line)["resourceSpans"]]
    return [span for resource in resources for scope in resource["scopeSpans"] for span in scope["spans"]]


def spans_of(lab: Mapping[str, str], target: str, trace: str, root: str) -> list[dict[str, Any]]:
    """The spans of a trace, when its page's own is there: it ends last."""
    wait_until(lambda: any(span.get("parentSpanId") == root for span in spans(lab, target)))
    return [span for span in spans(lab, target) if span["traceId"] == trace]


@pytest.mark.parametrize(("target", "name", "others"), OF_A_PAGE)
def test_a_sampled_page_has_a_span_for_itself_for_each_call_and_for_what_it_waits_for(
    traced: Mapping[str, str], target: str, name: str, others: dict[str, int]
) -> None:
    trace, root, headers = sampled()
    with ThreadPoolExecutor(3) as users:  # whose pages are not sampled
        beside = [users.submit(ask, traced, target, name) for _ in range(6)]
        ask(traced, target, name, headers)
        for user in beside:
            user.result()
    found = spans_of(traced, target, trace, root)
    expected = {"page": 1, "call": FAN_OUT, **others}
    counted = Counter(span["name"] for span in found)
    counted.pop("wait for a connection", None)  # there are as many connections as one page has calls
    assert counted == expected
    [page] = [span for span in found if span["name"] == "page"]
    assert page["parentSpanId"] == root
    inside = {span["spanId"]: span["parentSpanId"] for span in found if span is not page}
    calls = {span["spanId"] for span in found if span["name"] == "call"}
    assert set(inside.values()) <= {page["spanId"], *calls}


def test_a_call_that_waits_for_a_connection_of_a_full_pool_says_how_long(traced: Mapping[str, str]) -> None:
    trace, root, headers = sampled()
    ask(traced, "asgi", "gather", headers, FAN_OUT + 2)
    found = spans_of(traced, "asgi", trace, root)
    waits = [span for span in found if span["name"] == "wait for a connection"]
    calls = {span["spanId"] for span in found if span["name"] == "call"}
    assert len(waits) == 2
    assert {span["parentSpanId"] for span in waits} <= calls
    assert all(int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) > 10e6 for span in waits)


@pytest.mark.parametrize("target", ["wsgi", "asgi"])
@pytest.mark.parametrize(
    "header",
    [None, f"00-{'a' * 32}-{'b' * 16}-00", "", "nonsense", f"00-{'0' * 32}-{'b' * 16}-01", f"00-{'a' * 999}-01", "é"],
)
def test_a_page_that_is_not_sampled_has_no_span(traced: Mapping[str, str], target: str, header: str | None) -> None:
    before = {span["traceId"] for span in spans(traced, target)}
    url = f"{traced[target]}/api/aggregated/?fan_out=1&latency=0"
    headers = {} if header is None else {b"traceparent": header.encode()}
    httpx.get(url, headers=headers, timeout=PATIENCE, trust_env=False).raise_for_status()
    trace, root, marked = sampled()
    for _ in range(3):  # of whichever worker
        ask(traced, target, "sequential", marked, 1)
    spans_of(traced, target, trace, root)
    assert {span["traceId"] for span in spans(traced, target)} - before == {trace}


def test_where_nothing_is_traced_a_sampled_page_leaves_nothing(lab: Mapping[str, str]) -> None:
    for target in ("wsgi", "asgi"):
        _, _, headers = sampled()
        ask(lab, target, "sequential", headers)
        assert spans(lab, target) == []
        assert httpx.get(f"{lab[target]}/healthz", trust_env=False).json()["trace"] is False


IMPORTS = """
import os, sys
os.environ["INTERFACE"] = sys.argv[1]
import importlib
importlib.import_module(f"services.aggregator.{sys.argv[1]}")
from services.aggregator import strategies, upstream
from services.telemetry.counting import count_wsgi
from concurrent.futures import ThreadPoolExecutor
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
assert type(strategies.executor) is ThreadPoolExecutor
assert not hasattr(upstream.fetch, "__wrapped__") and not hasattr(upstream.afetch, "__wrapped__")
"""


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_where_nothing_is_traced_nothing_is_wrapped_and_opentelemetry_is_not_imported(
    interface: str, root: Path
) -> None:
    command = [sys.executable, "-c", IMPORTS, interface]
    ended = subprocess.run(
        command, cwd=root, env={**os.environ, "THREADS": "1"}, check=False, capture_output=True, text=True
    )
    assert not ended.returncode, ended.stderr


WRITES = """
import sys
from pathlib import Path
from services.telemetry import spans
from opentelemetry.sdk.trace import TracerProvider
tracer, spool = TracerProvider().get_tracer("test"), spans.Spool(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    some = [tracer.start_span("x" * 1000) for _ in range(500)]
    for span in some:
        span.end()
    spool.export(some)
"""


def test_spans_that_nobody_reads_are_bounded_and_the_newest_are_kept(tmp_path: Path, root: Path) -> None:
    batches = scrape.LARGEST_SPANS // 500_000 + 3
    subprocess.run([sys.executable, "-c", WRITES, str(tmp_path), str(batches)], cwd=root, check=True)
    files = sorted(tmp_path.iterdir())
    assert 1 < len(files) < batches
    assert len(scrape.spans(tmp_path)) == sum(file.stat().st_size for file in files) <= scrape.LARGEST_SPANS
