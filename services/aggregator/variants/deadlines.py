"""A page that does not wait longer than DEADLINE for its calls."""

from __future__ import annotations

import asyncio
from concurrent.futures import wait
from http import HTTPStatus

from django.conf import settings

from services.aggregator.parameters import Call
from services.aggregator.registry import variant
from services.aggregator.strategies import executor, gather
from services.aggregator.upstream import AsyncClient, afetch, fetch
from services.aggregator.views import Results
from services.problem import Problem


@variant
async def deadline(calls: list[Call], client: AsyncClient) -> Results:
    """Wait for all or nothing: after the deadline the calls are cancelled, and there is no page."""
    try:
        async with asyncio.timeout(settings.DEADLINE):
            return await gather(calls, client)
    except TimeoutError:
        why = f"the page's deadline of {settings.DEADLINE:g} s passed before all its calls were answered"
        raise Problem(why, HTTPStatus.GATEWAY_TIMEOUT) from None


@variant
async def partial(calls: list[Call], client: AsyncClient) -> Results:
    """Answer with what has come by the deadline; other calls are cancelled, and the api sees them end."""
    tasks = [asyncio.create_task(afetch(client, call)) for call in calls]
    try:
        await asyncio.wait(tasks, timeout=settings.DEADLINE)
    finally:  # also when the page itself is cancelled: asyncio.wait leaves its tasks running
        for task in tasks:
            task.cancel()
    await asyncio.wait(tasks)
    return [call if task.cancelled() else task.result() for task, call in zip(tasks, calls, strict=True)]


@variant
def partial_threads(calls: list[Call]) -> Results:
    """Answer with what has come by the deadline. A thread cannot be cancelled: it is busy until its call ends."""
    futures = [executor.submit(fetch, call) for call in calls]
    done, late = wait(futures, timeout=settings.DEADLINE)
    for future in late:
        future.cancel()  # only a call that no thread has begun
    return [future.result() if future in done else call for future, call in zip(futures, calls, strict=True)]
