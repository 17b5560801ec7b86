"""A target whose pages only sleep: a page starts so many threads, or tasks, for each of its calls."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from services import target
from services.bare import Handler, Receive, Scope, Send, dispatch, send_json, still_there_after
from services.bounds import FAN_OUT, LATENCY, Bound
from services.problem import Problem
from services.query import read
from services.telemetry import counters
from services.telemetry.counting import count_asgi

EACH = {  # of a call
    "threads": Bound("each", 1, 200, whole=True),
    "tasks": Bound("each", 1, 10_000, whole=True),
}
OF_OTHER_PAGES = [Bound(name, 0, 0) for name in ("jitter", "latency_p99", "correlated", "fail", "work")]
LONGEST = 180.0  # seconds until all have to have ended
ONE_AT_A_TIME = asyncio.Lock()


@dataclass(frozen=True, slots=True)
class Page:
    """`number` of sleepers of a `kind` ('threads' or 'tasks'), which sleep for `seconds`; `nonce`: the page's own."""

    kind: str
    fan_out: int
    number: int
    seconds: float
    nonce: str


async def answer_page(scope: Scope, receive: Receive, send: Send, *, kind: str) -> None:
    page = read_page(scope["query_string"].decode("latin-1"), kind)
    if ONE_AT_A_TIME.locked():
        raise Problem("another page sleeps; two would share memory and CPU", HTTPStatus.CONFLICT)
    async with ONE_AT_A_TIME:
        sleeping = asyncio.create_task(sleep(page))
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
        responses = [{"task_id": str(call), "page": page.nonce} for call in range(page.fan_out)]
        await send_json(send, {"strategy": kind, "sleepers": page.number, "responses": responses})


def read_page(query_string: str, kind: str) -> Page:
    """Raise Problem."""
    texts = read(query_string, ("fan_out", "latency", "each", "page", *(bound.name for bound in OF_OTHER_PAGES)))
    for bound in OF_OTHER_PAGES:
        bound.parse(texts.get(bound.name, "0"))
    fan_out = int(FAN_OUT.parse(texts.get("fan_out", "")))
    return Page(
        kind=kind,
        fan_out=fan_out,
        number=fan_out * int(EACH[kind].parse(texts.get("each", ""))),
        seconds=LATENCY.parse(texts.get("latency", "")),
        nonce=texts.get("page", ""),
    )


async def sleep(page: Page) -> None:
    """Let them sleep in a process of their own, so that their memory can be told apart and is given back.

    Raises Problem where not all of them slept.
    """
    words = [sys.executable, "-m", "services.sleepers.workers", page.kind, str(page.number), str(page.seconds)]
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
    if process.returncode == -9:
        raise Problem("killed by the kernel: the memory limit", HTTPStatus.SERVICE_UNAVAILABLE)
    if process.returncode:
        why = error.decode(errors="replace").strip()[-200:] or f"exit status {process.returncode}"
        raise Problem(why, HTTPStatus.SERVICE_UNAVAILABLE)


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


HANDLERS: dict[str, Handler] = {
    **{f"/{kind}/": partial(answer_page, kind=kind) for kind in EACH},
    "/healthz": answer_health,
}

app = count_asgi(partial(dispatch, HANDLERS))
