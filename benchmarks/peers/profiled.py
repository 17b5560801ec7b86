"""The asgi target with the standard library's profiler around it; leaves its figures in the file that PROFILE names."""

from __future__ import annotations

import cProfile
import os
import time

from services.aggregator import asgi
from services.bare import Message, Receive, Scope, Send

# CPU time of the event loop's thread, which alone is profiled: waiting, and other threads' work, is not in it.
profile = cProfile.Profile(time.thread_time)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    async def watched(message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            profile.enable()
        elif message["type"] == "lifespan.shutdown.complete":
            profile.disable()
            profile.dump_stats(os.environ["PROFILE"])
        await send(message)

    if scope["type"] == "lifespan":
        await asgi.application(scope, receive, watched)
    else:
        await asgi.application(scope, receive, send)
