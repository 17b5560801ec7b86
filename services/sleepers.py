"""Sleepers on demand: how long it takes to start so many threads or tasks that only wait, and what each takes."""

from __future__ import annotations

import asyncio
import json
import platform
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, cast

from services.bare import Receive, Scope, Send, dispatch, send_json, send_problem
from services.bounds import Bound, OutOfBounds
from services.query import BadQuery, read

NUMBERS = {
    "threads": Bound("number", 1, 20_000, whole=True),
    "tasks": Bound("number", 1, 2_000_000, whole=True),
}
SECONDS = Bound("seconds", 0, 30, "seconds")
STACK = Bound("stack", 0, 64_000_000, "bytes (0: the platform's default)", whole=True)
SMALLEST_STACK = 32 * 1024  # bytes; Python refuses less
COLLECTOR = ("on", "off")
LONGEST = 180.0  # seconds until a crowd has to have ended

ONE_AT_A_TIME = asyncio.Lock()


@dataclass(frozen=True, slots=True)
class Asked:
    """`stack` in bytes, of a thread; `gc`: whether the crowd's garbage collector is on."""

    kind: str
    number: int
    seconds: float
    stack: int
    gc: str

    @property
    def command(self) -> list[str]:
        values = (self.kind, self.number, self.seconds, self.stack, self.gc)
        return [sys.executable, "-m", "services.crowd", *map(str, values)]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await dispatch(HANDLERS, scope, receive, send)


async def answer_crowd(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        asked = read_crowd(scope["query_string"].decode("latin-1"))
    except (BadQuery, OutOfBounds) as error:
        await send_problem(send, HTTPStatus.BAD_REQUEST, str(error), **error.problem)
        return
    if ONE_AT_A_TIME.locked():
        await send_problem(send, HTTPStatus.CONFLICT, "a crowd sleeps already; two would share memory and CPU")
        return
    async with ONE_AT_A_TIME:
        work = asyncio.create_task(run(asked))
        left = asyncio.create_task(caller_left(receive))
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            left.cancel()
        with suppress(asyncio.CancelledError):  # nobody waits for the answer any more
            await send_json(send, HTTPStatus.OK, result(asked, await work))


def read_crowd(query_string: str) -> Asked:
    """Raises BadQuery, OutOfBounds."""
    texts = read(query_string, ("kind", "number", "seconds", "stack", "gc"))
    kind = choice("kind", texts.get("kind"), tuple(NUMBERS))
    stack = int(STACK.parse(texts.get("stack", "0")))
    if 0 < stack < SMALLEST_STACK:
        raise OutOfBounds(replace(STACK, minimum=SMALLEST_STACK), texts["stack"])
    return Asked(
        kind=kind,
        number=int(NUMBERS[kind].parse(texts.get("number", ""))),
        seconds=SECONDS.parse(texts.get("seconds", "")),
        stack=stack,
        gc=choice("gc", texts.get("gc", "on"), COLLECTOR),
    )


def choice(name: str, came: str | None, known: tuple[str, ...]) -> str:
    """Raises BadQuery."""
    if came not in known:
        shown = (came or "")[:80]
        raise BadQuery(
            f"{name} must be {' or '.join(known)}; it is {shown!r}",
            {"parameter": name, "known": list(known), "came": shown},
        )
    return came


async def caller_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def run(asked: Asked) -> dict[str, Any]:
    """What the crowd said of itself, and what ended it before its time."""
    process = await asyncio.create_subprocess_exec(*asked.command, stdout=PIPE)
    said: dict[str, Any] = {}
    try:
        async with asyncio.timeout(LONGEST):
            async for line in cast("asyncio.StreamReader", process.stdout):
                said |= json.loads(line)
            if status := await process.wait():
                said["stopped_by"] = why(status)
    except TimeoutError:
        said["stopped_by"] = f"it had not ended after {LONGEST:g} s"
    finally:
        await end(process)
    return said


def why(status: int) -> str:
    if status == -9:
        return "killed by the kernel: the memory limit"
    return f"it ended by signal {-status}" if status < 0 else f"it ended with exit status {status}"


async def end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


def result(asked: Asked, said: dict[str, Any]) -> dict[str, Any]:
    """Memory above that of the start: of the crowd's process, and as the container's limit counts it.

    A unit takes its share among those that slept at the same time. A crowd that was ended is not asked for it.
    """
    sleepers = said["at_once"] if said.pop("ended", False) else 0
    memory, counted = growth(said, "memory"), growth(said, "counted")
    return {
        "kind": asked.kind,
        "number": asked.number,
        "seconds": asked.seconds,
        "stack_bytes": asked.stack if asked.kind == "threads" else None,
        "gc": asked.gc,
        "python": platform.python_version(),
        **said,
        "memory_bytes": memory,
        "counted_bytes": counted,
        "bytes_per_unit": share(memory, sleepers),
        "counted_bytes_per_unit": share(counted, sleepers),
    }


def growth(said: dict[str, Any], what: str) -> int | None:
    before, peak = said.get(f"{what}_before_bytes"), said.get(f"{what}_peak_bytes")
    return None if before is None or peak is None else peak - before


def share(amount: int | None, sleepers: int) -> float | None:
    return amount / sleepers if amount is not None and sleepers else None


async def answer_health(scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, HTTPStatus.OK, {"status": "ok", "service": "sleepers"})


HANDLERS = {
    "/": answer_crowd,
    "/healthz": answer_health,
}
