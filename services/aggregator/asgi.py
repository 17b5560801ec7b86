"""The ASGI deployment's entrypoint: Django, and the one async client that lives as long as it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import django
from asgiref.sync import sync_to_async

from services.aggregator.startup import refuse_other_than, settle

refuse_other_than("asgi")
os.environ["DJANGO_SETTINGS_MODULE"] = "services.aggregator.settings"
django.setup()

from services.aggregator import clients, models, settings, upstream  # noqa: E402  # all of these need settings
from services.aggregator.django_threads import asgi_application  # noqa: E402
from services.bare import Receive, Scope, Send  # noqa: E402
from services.telemetry import counters  # noqa: E402
from services.telemetry.counting import count_asgi  # noqa: E402

LOOP_LAG = counters.lateness("lab_event_loop_lag_seconds", "how late the event loop came back to a task")

counted_application = count_asgi(asgi_application(settings.DJANGO_THREADS))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the lifespan here, because Django's own application does not know it; pass everything else on."""
    if scope["type"] == "lifespan":
        await lifespan(scope["state"], receive, send)
    else:
        await counted_application(scope, receive, send)


async def lifespan(state: dict[str, Any], receive: Receive, send: Send) -> None:
    """Open the client. Every request's scope gets a copy of `state`, and with it the client."""
    await receive()  # lifespan.startup
    await sync_to_async(models.prepare)()
    watch = asyncio.create_task(counters.watch_event_loop(LOOP_LAG))
    async with upstream.async_client() as client, clients.shared():
        loop = type(asyncio.get_running_loop())
        state.update(client=client, event_loop=f"{loop.__module__}.{loop.__qualname__}")
        settle()
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        watch.cancel()
    await send({"type": "lifespan.shutdown.complete"})
