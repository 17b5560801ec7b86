"""The asgi target with the standard library's profiler around it; leaves its figures in the file that PROFILE names."""

from __future__ import annotations

import cProfile
import os
from collections.abc import Mapping
from typing import Any

from services.aggregator import asgi
from services.aggregator.counting import Receive, Send

profile = cProfile.Profile()


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    async def watched(message: Mapping[str, Any]) -> None:
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
