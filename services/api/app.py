"""The slow upstream: waits, then answers. Bare ASGI, because it must never be the bottleneck."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from random import Random
from time import perf_counter
from typing import Any

from prometheus_client import Counter

from services import env
from services.api.behaviour import Behaviour
from services.bare import Receive, Scope, Send, dispatch, send_json, send_problem, still_there_after
from services.bounds import OF_A_CALL
from services.problem import Problem
from services.query import read
from services.telemetry import counters

LONGEST_ECHO = 64  # characters of what a call gives and gets back

# Each may be right only together with what a query changes.
DEFAULTS = Behaviour(**{name: env.number(name.upper(), bound) for name, bound in OF_A_CALL.items()})
SEED = env.whole("SEED", 0, 2**31)
# One worker repeats its sequence. With several the kernel chooses who answers a call, so nothing can be repeated; each
# draws numbers of its own, or the calls of a page would be alike.
RANDOM = Random(SEED if env.whole("WORKERS", 1, 64) == 1 else f"{SEED} {os.getpid()}")

CALLS = counters.InFlight("lab_calls", "calls of the api")
ENDED = Counter("lab_calls", "calls that ended, by how", ["how"])
ANSWERED, FAILED, ABANDONED = (ENDED.labels(how) for how in ("answered", "failed", "abandoned"))
# The api's own response time, less the wait that was asked for: what the api itself adds.
LATENESS = counters.lateness("lab_call_lateness_seconds", "response time of the api beyond the latency asked for")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
    else:
        await dispatch(HANDLERS, scope, receive, send)


async def answer_call(scope: Scope, receive: Receive, send: Send) -> None:
    task_id, behaviour = read_call(scope["query_string"])
    page = read_page(scope["headers"])
    outcome = behaviour.outcome(RANDOM, page.get("page", ""))
    arrived = perf_counter()  # the event loop's own clock ticks in milliseconds
    with CALLS:
        if not await still_there_after(None if outcome.hangs else outcome.wait, receive):
            ABANDONED.inc()
            return
        if outcome.fails:
            FAILED.inc()
            await send_problem(send, Problem("failed as asked", HTTPStatus.SERVICE_UNAVAILABLE, task_id=task_id))
        else:
            ANSWERED.inc()
            await send_json(send, {"message": "Hello World!", "task_id": task_id, **page})
    LATENESS.observe(perf_counter() - arrived - outcome.wait)


@lru_cache(maxsize=4096)
def read_call(query_string: bytes) -> tuple[str, Behaviour]:
    """Return the task's id and how this call behaves. Raises Problem.

    Cached, because a load test asks the same few queries thousands of times a second.
    """
    texts = read(query_string.decode("latin-1"), ("task_id", *OF_A_CALL))
    task_id = short("task_id", texts.pop("task_id", ""), parameter="task_id")
    return task_id, DEFAULTS.changed(texts)


def read_page(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the nonce of the page that calls, which proves that the answer was made for it. Raises Problem."""
    for name, value in headers:
        if name == b"x-page":
            return {"page": short("the header x-page", value.decode("latin-1"), header="x-page")}
    return {}


def short(name: str, text: str, **where: Any) -> str:
    """Return a text that is not too long to be given back. Raises Problem."""
    if len(text) > LONGEST_ECHO:
        detail = f"{name} may have {LONGEST_ECHO} characters; it has {len(text)}"
        raise Problem(detail, **where, maximum=LONGEST_ECHO, came=len(text))
    return text


async def answer_health(scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, {"status": "ok", "service": "api", "metrics_port": counters.METRICS_PORT})


HANDLERS = {"/api/": answer_call, "/healthz": answer_health}


async def answer_lifespan(receive: Receive, send: Send) -> None:
    await receive()  # lifespan.startup
    # A collection walks every call in flight: at 5,000 it stops the api for 0.2 s, which a page would see as latency.
    # Calls leave no reference cycles behind, so there is nothing for it to find.
    gc.collect()
    gc.disable()
    await send({"type": "lifespan.startup.complete"})
    await receive()  # lifespan.shutdown
    await send({"type": "lifespan.shutdown.complete"})
