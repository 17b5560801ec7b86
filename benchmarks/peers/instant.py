"""Answers at once with a whole page made beforehand, but for its nonce: nothing here can slow a load generator down."""

from __future__ import annotations

import json

from benchmarks.peers import content
from services.bare import Receive, Scope, Send

FAN_OUT = 10
NONCE = b"0123456789abcdef"  # as long as a page's own
RESPONSES = [{"message": "Hello World!", "task_id": str(task), "page": NONCE.decode()} for task in range(FAN_OUT)]
PAGE = json.dumps(content("uvicorn 0.0.0 (ASGI)", 0.5034567890123456, RESPONSES)).encode()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(PAGE))]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    nonce = scope["query_string"].partition(b"page=")[2] or NONCE
    await send({"type": "http.response.body", "body": PAGE.replace(NONCE, nonce)})
