"""One middleware for sync and async views alike; it switches to no thread."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def server_timing(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Say in Server-Timing how long the view took, in milliseconds; of a streamed page, until its first byte."""
    if inspect.iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponse:
            started = perf_counter()
            return timed(await get_response(request), started)

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponse:
        started = perf_counter()
        return timed(get_response(request), started)

    return middleware


def timed(response: HttpResponse, started: float) -> HttpResponse:
    response["Server-Timing"] = f"page;dur={(perf_counter() - started) * 1000:.3f}"
    return response
