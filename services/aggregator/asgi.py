"""The ASGI deployment's entrypoint: Django, and the one async client that lives as long as it."""

from __future__ import annotations

import asyncio
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started

from services.aggregator.startup import set_up, settle

set_up("asgi")

from services.aggregator import clients, models, settings, upstream  # noqa: E402  # all of these need settings
from services.bare import Receive, Scope, Send  # noqa: E402
from services.telemetry import counters, trace  # noqa: E402
from services.telemetry.counting import count_asgi  # noqa: E402

# Django's own receivers are all sync, so Django calls them in a thread. They close database connections and caches and
# reset the urlconf. The lab's pages use none of them; with a database, settings.py refuses to disconnect them.
if settings.DJANGO_THREADS != "each":
    request_started.receivers.clear()
    request_finished.receivers.clear()
django = ASGIHandler()
# ASGIHandler calls `handle` in a ThreadSensitiveContext: a thread for the sync code of each request. Without it asgiref
# runs the sync code of all requests in one thread.
pages = trace.page_asgi(count_asgi(django.handle if settings.DJANGO_THREADS == "shared" else django))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the lifespan here, because Django's own application does not know it; pass everything else on."""
    if scope["type"] == "lifespan":
        await lifespan(scope["state"], receive, send)
    else:
        await pages(scope, receive, send)


async def lifespan(state: dict[str, Any], receive: Receive, send: Send) -> None:
    """Open the client. Every request's scope gets a copy of `state`, and with it the client."""
    await receive()  # lifespan.startup
    await sync_to_async(models.prepare)()
    watch = asyncio.create_task(counters.watch_event_loop(counters.loop_lag()))
    async with upstream.async_client() as client, clients.closing:
        loop = type(asyncio.get_running_loop())
        state.update(client=client, event_loop=f"{loop.__module__}.{loop.__qualname__}")
        settle()
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        watch.cancel()
    await send({"type": "lifespan.shutdown.complete"})
