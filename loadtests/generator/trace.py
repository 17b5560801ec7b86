"""The one page of a step that is traced where TRACE is 1: what its user saw, and the spans that its target kept."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request

import gevent

from loadtests.generator import targets
from loadtests.generator.record import Recorder
from loadtests.model.target import Target

PATIENCE = 3.0  # seconds for the target's spans, which it keeps twice a second, and for a collector
PATH = "/v1/traces"  # of OTLP over HTTP


@dataclass
class Trace:
    """Becomes the root span of a page: from when its user asked for it until the answer was there.

    `headers`: of its request; they belong to the first page that begins inside the window, and to no other.
    """

    trace: str = field(default_factory=lambda: secrets.token_hex(16))
    root: str = field(default_factory=lambda: secrets.token_hex(8))
    asked: int = 0  # nanoseconds since 1970, as the target counts as well
    answered: int = 0
    fault: str | None = None

    def begin(self, recorder: Recorder | None) -> dict[str, str]:
        """Return the headers for a page that is asked for now; none if it is not the one."""
        if self.asked or recorder is None or not recorder.within(time.perf_counter()):
            return {}
        self.asked = time.time_ns()
        return {"traceparent": f"00-{self.trace}-{self.root}-01"}

    def end(self, fault: str | None) -> None:
        self.answered, self.fault = time.time_ns(), fault

    def lines(self, target: Target) -> list[str]:
        """Return the page's spans as lines of OTLP JSON, as many as are there in time; none if no page was traced."""
        if not self.answered:
            return []
        spans: list[str] = []
        deadline = time.monotonic() + (PATIENCE if target.identity.get("trace") else 0.0)
        while not any(self.root in line for line in spans) and time.monotonic() < deadline:
            gevent.sleep(0.1)
            try:
                spans = [line for line in targets.fetch(f"{target.metrics}/spans").splitlines() if self.trace in line]
            except (OSError, ValueError):  # the target is restarted, or overwhelmed
                continue
        return [self.own_line(target), *spans]

    def own_line(self, target: Target) -> str:
        """Return the span of the user, which the target's spans name as their parent."""
        span = {
            "traceId": self.trace,
            "spanId": self.root,
            "name": "user",
            "kind": 3,  # a client
            "startTimeUnixNano": str(self.asked),
            "endTimeUnixNano": str(self.answered),
            "status": {"code": 2, "message": self.fault} if self.fault else {},
        }
        name = {"key": "service.name", "value": {"stringValue": f"user of {target.name}"}}
        scopes = [{"scope": {"name": "lab"}, "spans": [span]}]
        return json.dumps({"resourceSpans": [{"resource": {"attributes": [name]}, "scopeSpans": scopes}]})


def send(lines: Sequence[str], endpoint: str) -> None:
    """Give lines of OTLP JSON to a collector, by OTLP over HTTP. Raises OSError, ValueError."""
    spans: list[Any] = [resource for line in lines for resource in json.loads(line)["resourceSpans"]]
    body = json.dumps({"resourceSpans": spans}).encode()
    request = Request(endpoint.rstrip("/") + PATH, body, {"Content-Type": "application/json"})  # noqa: S310  # the person's own
    targets.open_url(request, timeout=PATIENCE).close()
