"""A target whose pages only sleep: a page starts so many threads, or tasks, for each of its calls."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from functools import partial
from http import HTTPStatus

from services import target
from services.bare import Handler, Receive, Scope, Send, dispatch, send_json, still_there_after
from services.bounds import FAN_OUT, LATENCY, Bound
from services.problem import Problem
from services.query import read
from services.telemetry import counters
from services.telemetry.counting import count_asgi

EACH = {kind: Bound("each", 1, most, whole=True) for kind, most in (("threads", 200), ("tasks", 10_000))}  # of a call
OF_OTHER_PAGES = [Bound(name, 0, 0) for name in ("jitter", "latency_p99", "correlated", "fail", "work")]
LONGEST = 180.0  # seconds until all have to have ended
ONE_AT_A_TIME = asyncio.Lock()


async def answer_page(scope: Scope, receive: Receive, send: Send, *, kind: str) -> None:
    known = ("fan_out", "latency", "each", "page", *(bound.name for bound in OF_OTHER_PAGES))
    texts = read(scope["query_string"].decode("latin-1"), known)
    for bound in OF_OTHER_PAGES:
        bound.parse(texts.get(bound.name, "0"))
    fan_out = int(FAN_OUT.parse(texts.get("fan_out", "")))
    number = fan_out * int(EACH[kind].parse(texts.get("each", "")))
    seconds = LATENCY.parse(texts.get("latency", ""))
    if ONE_AT_A_TIME.locked():
        raise Problem("another page sleeps; two would share memory and CPU", HTTPStatus.CONFLICT)
    async with ONE_AT_A_TIME:
        sleeping = asyncio.create_task(sleep(kind, number, seconds))
        left = asyncio.create_task(still_there_after(None, receive))
        try:
            await asyncio.wait({sleeping, left}, return_when=asyncio.FIRST_COMPLETED)
            if not sleeping.done():
                return
            await sleeping
        finally:
            sleeping.cancel()
            left.cancel()
            await asyncio.wait({sleeping, left})
        responses = [{"task_id": str(call), "page": texts.get("page", "")} for call in range(fan_out)]
        await send_json(send, {"strategy": kind, "sleepers": number, "responses": responses})


async def sleep(kind: str, number: int, seconds: float) -> None:
    """Let them sleep in a process of their own, so that their memory can be told apart and is given back.

    Raises Problem where not all of them slept.
    """
    words = [sys.executable, "-m", "services.sleepers.workers", kind, str(number), str(seconds)]
    process = await asyncio.create_subprocess_exec(*words, stderr=PIPE)
    try:
        async with asyncio.timeout(LONGEST):
            _, error = await process.communicate()
    except TimeoutError:
        raise Problem(f"they had not ended after {LONGEST:g} s", HTTPStatus.SERVICE_UNAVAILABLE) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        why = error.decode(errors="replace").strip()[-200:] or f"exit status {process.returncode}"
        killed = process.returncode == -9
        raise Problem("killed by the kernel: the memory limit" if killed else why, HTTPStatus.SERVICE_UNAVAILABLE)


async def answer_health(scope: Scope, receive: Receive, send: Send) -> None:
    identity = {
        "status": "ok",
        **target.DECLARED,
        "server": target.server(),
        "pools": {},
        "strategies": {kind: f"/{kind}/" for kind in EACH},
        "api": "",
        "metrics_port": counters.METRICS_PORT,
    }
    await send_json(send, identity)


HANDLERS: dict[str, Handler] = {f"/{kind}/": partial(answer_page, kind=kind) for kind in EACH}
HANDLERS["/healthz"] = answer_health

app = count_asgi(partial(dispatch, HANDLERS))
