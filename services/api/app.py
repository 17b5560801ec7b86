"""The slow upstream: waits, then answers. Bare ASGI, because it must never be the bottleneck."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from random import Random
from time import perf_counter

from prometheus_client import Counter

from services import env
from services.api.behaviour import Behaviour
from services.bare import Receive, Scope, Send, dispatch, send_json, send_problem, still_there_after
from services.bounds import OF_A_CALL, OutOfBounds
from services.query import BadQuery, read
from services.telemetry import counters

LONGEST_TASK_ID = LONGEST_NONCE = 64  # characters

# Each may be right only together with what a query changes.
DEFAULTS = Behaviour(**{name: env.number(name.upper(), bound) for name, bound in OF_A_CALL.items()})
RANDOM = Random(env.whole("SEED", 0, 2**31))

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
    try:
        task_id, behaviour = read_call(scope["query_string"])
        page = read_page(scope["headers"])
    except (BadQuery, OutOfBounds) as error:
        await send_problem(send, HTTPStatus.BAD_REQUEST, str(error), **error.problem)
        return
    outcome = behaviour.outcome(RANDOM, page.get("page", ""))
    arrived = perf_counter()  # the event loop's own clock ticks in milliseconds
    with CALLS:
        if not await still_there_after(None if outcome.hangs else outcome.wait, receive):
            ABANDONED.inc()
            return
        if outcome.fails:
            FAILED.inc()
            await send_problem(send, HTTPStatus.SERVICE_UNAVAILABLE, "failed as asked", task_id=task_id)
        else:
            ANSWERED.inc()
            await send_json(send, HTTPStatus.OK, {"message": "Hello World!", "task_id": task_id, **page})
    LATENESS.observe(perf_counter() - arrived - outcome.wait)


@lru_cache(maxsize=4096)
def read_call(query_string: bytes) -> tuple[str, Behaviour]:
    """Return the task's id and how this call behaves. Raises BadQuery, OutOfBounds.

    Cached, because a load test asks the same few queries thousands of times a second.
    """
    texts = read(query_string.decode("latin-1"), ("task_id", *OF_A_CALL))
    task_id = texts.pop("task_id", "")
    if len(task_id) > LONGEST_TASK_ID:
        detail = f"task_id may have {LONGEST_TASK_ID} characters; it has {len(task_id)}"
        raise BadQuery(detail, parameter="task_id", maximum=LONGEST_TASK_ID, came=len(task_id))
    return task_id, DEFAULTS.changed(texts)


def read_page(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the nonce of the page that calls, which proves that the answer was made for it. Raises BadQuery."""
    for name, value in headers:
        if name == b"x-page":
            if len(value) > LONGEST_NONCE:
                detail = f"the header x-page may have {LONGEST_NONCE} characters; it has {len(value)}"
                raise BadQuery(detail, header="x-page", maximum=LONGEST_NONCE, came=len(value))
            return {"page": value.decode("latin-1")}
    return {}


async def answer_health(scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, HTTPStatus.OK, {"status": "ok", "service": "api", "metrics_port": counters.metrics_port()})


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
