"""What bare ASGI apps share: which handler answers a path, JSON, and whether the caller is still there.

Errors are said as HTTP says them: RFC 9457 problem details.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

PROBLEM_JSON = "application/problem+json"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


async def dispatch(handlers: Mapping[str, Handler], scope: Scope, receive: Receive, send: Send) -> None:
    handler = handlers.get(scope["path"])
    if handler is None:
        await send_problem(send, HTTPStatus.NOT_FOUND, f"nothing at this path; there are {', '.join(handlers)}")
    elif scope["method"] != "GET":
        status = HTTPStatus.METHOD_NOT_ALLOWED
        await send_json(send, status, problem(status, "only GET is allowed"), (b"allow", b"GET"))
    else:
        await handler(scope, receive, send)


def problem(status: HTTPStatus, detail: str, **members: Any) -> dict[str, Any]:
    """Return the body of an error answer; `members` are RFC 9457's extension members."""
    return {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, **members}


async def send_problem(send: Send, status: HTTPStatus, detail: str, **members: Any) -> None:
    await send_json(send, status, problem(status, detail, **members))


async def send_json(send: Send, status: HTTPStatus, body: object, *headers: tuple[bytes, bytes]) -> None:
    content_type = b"application/json" if status == HTTPStatus.OK else PROBLEM_JSON.encode()
    await send_body(send, status, content_type, json.dumps(body).encode(), *headers)


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
