"""What bare ASGI apps share: which handler answers a path, JSON, and whether the caller is still there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from services.problem import PROBLEM_JSON, Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


async def dispatch(handlers: Mapping[str, Handler], scope: Scope, receive: Receive, send: Send) -> None:
    """Let the handler of the path answer, or say the problem that it raises before it answers."""
    handler = handlers.get(scope["path"])
    if handler is None:
        missing = Problem(f"nothing at this path; there are {', '.join(handlers)}", HTTPStatus.NOT_FOUND)
        await send_problem(send, missing)
    elif scope["method"] != "GET":
        await send_problem(send, Problem("only GET is allowed", HTTPStatus.METHOD_NOT_ALLOWED), (b"allow", b"GET"))
    else:
        try:
            await handler(scope, receive, send)
        except Problem as problem:
            await send_problem(send, problem)


async def send_problem(send: Send, problem: Problem, *headers: tuple[bytes, bytes]) -> None:
    await send_body(send, problem.status, PROBLEM_JSON.encode(), json.dumps(problem.body()).encode(), *headers)


async def send_json(send: Send, body: object) -> None:
    await send_body(send, HTTPStatus.OK, b"application/json", json.dumps(body).encode())


async def send_body(
    send: Send, status: HTTPStatus, content_type: bytes, body: bytes, *headers: tuple[bytes, bytes]
) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status.value,
            "headers": [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def still_there_after(seconds: float | None, receive: Receive) -> bool:
    """Wait so long (None: for ever); False as soon as the caller has left.

    Waiting on the connection costs no second task, and a caller that is gone stops counting as a call in flight.
    """
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return True
    return False
