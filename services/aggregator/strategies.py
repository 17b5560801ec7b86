"""The strategies: how a page makes its calls, a function each. A new one is one more function here.

A strategy takes the calls and returns, in task order, a result for each call it made: the api's
answer, or the CallFailed that came in its place. An `async def` gets the async client as well.
The prediction has to know of one that makes its calls one after the other (loadtests/analysis/capacity.py); one that
does something else again says `unpredicted=True`.
"""

from __future__ import annotations

import asyncio

from django.conf import settings

from services.aggregator.parameters import Call
from services.aggregator.registry import strategy
from services.aggregator.upstream import AsyncClient, CallFailed, afetch, fetch
from services.aggregator.views import Results
from services.telemetry import trace


@strategy(path="sync/")
def sequential(calls: list[Call]) -> Results:
    """Make one call after the other; the first that fails is the last that is made."""
    results: Results = []
    for call in calls:
        results.append(fetch(call))
        if isinstance(results[-1], CallFailed):
            break
    return results


# One pool for the process: threads are started when they are first needed and then kept.
executor = trace.Executor(max_workers=settings.THREADPOOL, thread_name_prefix="call")


@strategy(path="threadpool/", pool="THREADPOOL")
def threadpool(calls: list[Call]) -> Results:
    """Make all calls at once, a thread each."""
    return list(executor.map(fetch, calls))


@strategy(path="", pool="MAX_CONNECTIONS")
async def gather(calls: list[Call], client: AsyncClient) -> Results:
    """Make all calls at once, on one event loop."""
    return await asyncio.gather(*(afetch(client, call) for call in calls))
