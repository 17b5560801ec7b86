"""A page that is sent while its calls arrive: each response goes out as it comes, in order of arrival.

Each server streams what suits its interface only: an async iterator under ASGI, a sync one under WSGI. In the two other
cases Django collects the whole page and then sends it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import as_completed
from time import perf_counter
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_GET

from services.aggregator.parameters import Page
from services.aggregator.registry import register
from services.aggregator.strategies import executor
from services.aggregator.upstream import CallFailed, afetch, fetch
from services.aggregator.views import async_client, heading, page_view


def parts(request: HttpRequest, page: Page, started: float) -> Iterator[str]:
    futures = [executor.submit(fetch, call) for call in page.calls]
    try:
        yield head("stream_threads", page)
        for number, future in enumerate(as_completed(futures)):
            yield entry(number, future.result())
        yield end(started)
    finally:  # also when the user has gone
        for future in futures:
            future.cancel()


async def aparts(request: HttpRequest, page: Page, started: float) -> AsyncIterator[str]:
    # The client is opened here: under WSGI this runs on another event loop than the view did.
    async with async_client(request) as client:
        tasks = [asyncio.create_task(afetch(client, call)) for call in page.calls]
        try:
            yield head("stream", page)
            for number, arrived in enumerate(asyncio.as_completed(tasks)):
                yield entry(number, await arrived)
            yield end(started)
        finally:  # also when the user has gone
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def head(name: str, page: Page) -> str:
    return json.dumps({**heading(name, page), "order": "arrival"}).removesuffix("}") + ', "responses": ['


def entry(number: int, result: Any) -> str:
    """Return a response, or in its place why its call failed: the status has been sent long ago."""
    said = {"task_id": result.call.task_id, "failed": result.why} if isinstance(result, CallFailed) else result
    return (", " if number else "") + json.dumps(said)


def end(started: float) -> str:
    return f'], "elapsed": {perf_counter() - started!r}}}'


# The parts are made in `respond` only: they need to know when the page began.
def stream_threads(request: HttpRequest, page: Page) -> Any:
    return parts


async def stream(request: HttpRequest, page: Page) -> Any:
    return aparts


def respond(request: HttpRequest, name: str, page: Page, streamed: Any, started: float) -> StreamingHttpResponse:
    return StreamingHttpResponse(streamed(request, page, started), content_type="application/json")


for function in (stream, stream_threads):
    name = function.__name__
    # Only GET: the head of a stream ends before its page does, and the next request would come too early.
    register(name, require_GET(page_view(name, function, respond=respond)))
