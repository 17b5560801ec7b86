"""Work that a page starts and does not wait for: one more call to the api, begun when the page's own calls are done."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from django.conf import settings
from prometheus_client import Counter

from services.aggregator.parameters import Call
from services.aggregator.registry import variant
from services.aggregator.strategies import gather
from services.aggregator.upstream import AsyncClient, afetch, async_client, fetch
from services.aggregator.views import Results
from services.telemetry import trace

STARTED = Counter("lab_background_started", "work that a page started and did not wait for")
FINISHED = Counter("lab_background_finished", "such work that came to its end, with or without an answer")
CANCELLED = Counter("lab_background_cancelled", "such work that was cancelled")

tasks: set[asyncio.Task[Any]] = set()  # the event loop itself does not keep a task alive


@variant
async def fire_and_forget(calls: list[Call], client: AsyncClient) -> Results:
    """Leave a call to the event loop. Right under ASGI, where the loop lives on; under WSGI it ends with the page."""
    results = await gather(calls, client)
    task = asyncio.create_task(on_its_own(one_more(calls)))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    count(task)
    return results


async def on_its_own(call: Call) -> None:
    async with async_client() as client:  # under WSGI the page's client is closed with the page
        await afetch(client, call)


# One pool for the process, like that of the calls: what it does outlives the page under both servers.
threads = trace.Executor(max_workers=settings.THREADPOOL, thread_name_prefix="background")


@variant
async def hand_over(calls: list[Call], client: AsyncClient) -> Results:
    """Hand a call to a thread that belongs to the process, not to the page. Right under both."""
    results = await gather(calls, client)
    count(threads.submit(fetch, one_more(calls)))
    return results


def one_more(calls: list[Call]) -> Call:
    """Return the call after the last: the next task, which asks the same of the api."""
    return replace(calls[-1], task=len(calls))


def count(job: asyncio.Task[Any] | Future[Any]) -> None:
    """Count in a callback: what is cancelled before its first step runs no code of its own."""
    STARTED.inc()
    job.add_done_callback(lambda ended: (CANCELLED if ended.cancelled() else FINISHED).inc())
