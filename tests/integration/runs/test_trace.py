"""A run with TRACE=1: one page of each step is traced, drawn in the report, and given to a collector."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.runs import Lab, says_its_verdict

SMALL = ("run", "--runtime=process", "--quick", "--users=1,12", "--latency=0.1", "--fan-out=3")
TITLE = "Where one user&#39;s time went"


@pytest.fixture
def lab_command(clean_environment: dict[str, str], tmp_path: Path) -> Lab:
    return Lab(clean_environment, tmp_path / "results")


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    """The address of one, and what it was sent."""
    received: list[Any] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def names(documents: Iterable[Any]) -> Counter[str]:
    resources = [resource for document in documents for resource in document["resourceSpans"]]
    return Counter(span["name"] for one in resources for scope in one["scopeSpans"] for span in scope["spans"])


def test_a_page_of_each_step_is_traced_and_drawn_and_a_collector_gets_it(
    lab_command: Lab, collector: tuple[str, list[Any]]
) -> None:
    endpoint, received = collector
    ended = lab_command.run(*SMALL, TRACE="1", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    says_its_verdict(ended)
    steps = [json.loads(path.read_text())["measurement"] for path in (ended.folder / "raw").glob("*.json")]
    kept = sorted((ended.folder / "raw").glob("*.spans.jsonl"))
    assert len(kept) == len(steps) == 4
    for path in kept:
        counted = names(map(json.loads, path.read_text().splitlines()))
        assert (counted["user"], counted["page"], counted["call"]) == (1, 1, 3), path.name
    assert TITLE in (ended.folder / "report.html").read_text()
    assert {(path, kind) for path, kind, _ in received} == {("/v1/traces", "application/json")}
    assert names(body for _, _, body in received)["page"] == 4
    assert not [warning for warning in ended.summary["manifest"]["warnings"] if "trace" in warning]


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:9", pytest.param("collector:4317", marks=pytest.mark.slow)],  # the port of gRPC
)
def test_a_collector_that_cannot_be_reached_costs_a_sentence_and_no_figure(lab_command: Lab, endpoint: str) -> None:
    ended = lab_command.run(*SMALL, TRACE="1", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    says_its_verdict(ended)
    warnings = [warning for warning in ended.summary["manifest"]["warnings"] if warning.startswith("The trace of")]
    assert len(warnings) == 4
    assert len(list((ended.folder / "raw").glob("*.spans.jsonl"))) == 4
