"""Replays upstreams of somebody's own, with recorded answers and times: each under a path of its name, or its own host.

Bare ASGI, and everything is made ready at the start, because it must never be the bottleneck. A call that no upstream
answers is a 502 that is counted by what it asked for.
"""

from __future__ import annotations

import base64
import json
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import Any

from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from services import env
from services.api.app import ABANDONED, ANSWERED, CALLS, LATENESS, RANDOM, answer_health, answer_lifespan
from services.api.behaviour import Behaviour
from services.api.hosts import under_their_hosts
from services.bare import Message, Receive, Scope, Send, send_problem, still_there_after
from services.problem import Problem

MOST_NAMED = 20  # calls without an answer that are counted by what they ask for
UNANSWERED = Counter("lab_calls_unanswered", "calls that no upstream answers", ["call"])
named: set[str] = set()

Answer = tuple[Message, Message]  # its start and its body


@dataclass(frozen=True)
class Upstream:
    """`exact`: answers by method and path, with the query or without; `beginning`: by method and how a path begins.

    `wait` returns seconds, for a share from 0, below 1.
    """

    exact: dict[str, Answer]
    beginning: Sequence[tuple[str, Answer]]
    wait: Callable[[float], float]

    def answer(self, method: str, path: str, query: str) -> Answer | None:
        called = f"{method} {path}"
        found = self.exact.get(f"{called}?{query}") or self.exact.get(called)
        return found or next((answer for begins, answer in self.beginning if called.startswith(begins)), None)


def upstream(described: dict[str, Any]) -> Upstream:
    """Return an upstream, ready to answer. Raises BadEnvironment where its histogram cannot be read."""
    exact: dict[str, Answer] = {}
    beginning: list[tuple[str, Answer]] = []
    for one in described["answers"]:
        called, body = f"{one['method']} {one['path']}", base64.b64decode(one["body"])
        headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in one["headers"].items()]
        headers.append((b"content-length", b"%d" % len(body)))
        start = {"type": "http.response.start", "status": one["status"], "headers": headers}
        answer = (start, {"type": "http.response.body", "body": body})
        if called.endswith("*"):
            beginning.append((called[:-1], answer))
        else:
            exact.setdefault(called, answer)
    return Upstream(exact, beginning, waits(described))


def waits(described: dict[str, Any]) -> Callable[[float], float]:
    """Return the seconds that a call takes which is slower than this share of all calls."""
    if described["histogram"]:
        return from_histogram(described["histogram"])
    if times := described["times"]:
        return lambda place: float(times[int(place * len(times))])
    return Behaviour(described["latency"], 0.0, 0.0, 0.0, described["latency_p99"]).wait


def from_histogram(text: str) -> Callable[[float], float]:
    """Return the same of a Prometheus histogram in seconds: evenly within a bucket, at most the last bound."""
    counts: dict[float, float] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    bound = float(sample.labels["le"])
                    counts[bound] = counts.get(bound, 0.0) + sample.value
    except (ValueError, KeyError) as error:
        raise env.BadEnvironment(f"UPSTREAMS: histogram must be Prometheus text: {error!r:.200}") from error
    total = max(counts.values(), default=0.0)
    bounds = [0.0, *sorted(bound for bound in counts if bound != math.inf)]
    if len(bounds) == 1 or total <= 0:
        raise env.BadEnvironment(
            'UPSTREAMS: histogram must hold buckets (…_bucket{le="…"}) that have counted something'
        )
    shares = [0.0, *(counts[bound] / total for bound in bounds[1:])]

    def wait(place: float) -> float:
        at = bisect_right(shares, place)
        if at == len(bounds):
            return bounds[-1]
        (low, high), (before, until) = bounds[at - 1 : at + 1], shares[at - 1 : at + 1]
        return low + (high - low) * (place - before) / (until - before)

    return wait


DESCRIBED = json.loads(Path(env.text("UPSTREAMS")).read_text(encoding="utf-8") or "{}")
NONE = Upstream({}, (), float)  # where no upstream has the name that is asked for
UPSTREAMS = {name: upstream(described) for name, described in DESCRIBED.items()}
BY_HOST = {described["host"].encode(): UPSTREAMS[name] for name, described in DESCRIBED.items() if described["host"]}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        async with under_their_hosts(app, list(BY_HOST)):
            await answer_lifespan(receive, send)
    elif (host := host_of(scope)) in BY_HOST:
        await answer_call(scope, receive, send, BY_HOST[host], scope["path"])
    elif scope["path"] == "/healthz":
        await answer_health(scope, receive, send)
    else:
        _, name, path = (*scope["path"].split("/", 2), "")[:3]
        await answer_call(scope, receive, send, UPSTREAMS.get(name, NONE), f"/{path}")


def host_of(scope: Scope) -> bytes:
    """Return the host that was asked for, without a port; empty if none was."""
    return next((value.partition(b":")[0].lower() for name, value in scope["headers"] if name == b"host"), b"")


async def answer_call(scope: Scope, receive: Receive, send: Send, known: Upstream, path: str) -> None:
    arrived = perf_counter()
    found = known.answer(scope["method"], path, scope["query_string"].decode("latin-1"))
    if found is None:
        at = (host_of(scope) if known in BY_HOST.values() else b"").decode("latin-1")
        call = f"{scope['method']} {at}{scope['path']}"[:200]
        if call not in named and len(named) >= MOST_NAMED:
            call = "others"
        named.add(call)
        UNANSWERED.labels(call).inc()
        problem = Problem(f"no upstream answers {call}; UPSTREAMS describes them", HTTPStatus.BAD_GATEWAY)
        await send_problem(send, problem)
        return
    wait = known.wait(RANDOM.random())
    with CALLS:
        if not await still_there_after(wait, receive):
            ABANDONED.inc()
            return
        ANSWERED.inc()
        for message in found:
            await send(message)
    LATENESS.observe(perf_counter() - arrived - wait)
