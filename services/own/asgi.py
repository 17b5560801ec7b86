"""A project of somebody's own under ASGI.

It is loaded when the server has all that it needs of the lab; in a thread, where an app may ask its database.
"""

from __future__ import annotations

import asyncio

from services.bare import Handler, Message, Receive, Scope, Send, send_json
from services.own import project
from services.telemetry import counters
from services.telemetry.counting import count_asgi

pages: Handler
LOOP_LAG = counters.loop_lag()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the lab's one path here; everything else is the project's."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["type"] == "http" and scope["path"] == project.IDENTITY:
        await send_json(send, project.describe(scope["query_string"].decode()))
    else:
        await pages(scope, receive, send)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Load the project, and let it do what it does at the server's start and end, if it does anything then."""
    global pages  # noqa: PLW0603  # the server calls a function, and this is its state
    own = await asyncio.to_thread(project.application, "asgi")
    pages = count_asgi(own)
    watch = asyncio.create_task(counters.watch_event_loop(LOOP_LAG))
    started = False

    async def watched(message: Message) -> None:
        nonlocal started
        started = True
        await send(message)

    try:
        await own(scope, receive, watched)
    except Exception:
        if started:
            raise
        await send({"type": "lifespan.startup.complete"})  # as servers take it: the project has no lifespan
        while (await receive())["type"] != "lifespan.shutdown":
            pass
        await send({"type": "lifespan.shutdown.complete"})
    finally:
        watch.cancel()
