"""What the articles of 2020 on Django's async views show, in plain Django as a teacher would write it today.

Nothing is measured here: views.py, strategies.py and upstream.py are the instrument. `python -m services.manage
runserver` serves these views alone; in the lab they are at the same paths under both servers.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.decorators import sync_and_async_middleware
from django.views import View

CALLS = range(10)


async def api(request: HttpRequest) -> JsonResponse:
    """Wait for a second, then answer: the slow upstream."""
    await asyncio.sleep(1)
    return JsonResponse({"message": "Hello World!", "task_id": request.GET.get("task_id")})


async def aggregated(request: HttpRequest) -> JsonResponse:
    """Make all calls at once, on one event loop: one second."""
    async with httpx.AsyncClient() as client:
        calls = (client.get(settings.API_URL, params={"task_id": task}) for task in CALLS)
        responses = await asyncio.gather(*calls)
    return JsonResponse({"responses": [response.json() for response in responses]})


def aggregated_sync(request: HttpRequest) -> JsonResponse:
    """Make one call after the other: ten seconds."""
    with httpx.Client() as client:
        responses = [client.get(settings.API_URL, params={"task_id": task}) for task in CALLS]
    return JsonResponse({"responses": [response.json() for response in responses]})


def aggregated_threadpool(request: HttpRequest) -> JsonResponse:
    """Make all calls at once, a thread each: one second, without async."""
    with httpx.Client() as client, ThreadPoolExecutor(len(CALLS)) as pool:
        responses = pool.map(lambda task: client.get(settings.API_URL, params={"task_id": task}), CALLS)
        return JsonResponse({"responses": [response.json() for response in responses]})


async def aggregated_to_async(request: HttpRequest) -> HttpResponse:
    """Call a sync view from an async one: it waits in a thread, and the event loop goes on."""
    return await sync_to_async(aggregated_sync)(request)


class Aggregated(View):
    """The async view as a class: all of its handlers have to be async."""

    async def get(self, request: HttpRequest) -> JsonResponse:
        return await aggregated(request)


@sync_and_async_middleware
def timing(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Say how long a view took, in seconds; for sync and async views without a thread between them."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponse:
            started = time.perf_counter()
            response: HttpResponse = await get_response(request)
            response["X-Elapsed"] = f"{time.perf_counter() - started:.3f}"
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response: HttpResponse = get_response(request)
        response["X-Elapsed"] = f"{time.perf_counter() - started:.3f}"
        return response

    return middleware


urlpatterns = [
    path("api/article/", aggregated),
    path("api/article/sync/", aggregated_sync),
    path("api/article/threadpool/", aggregated_threadpool),
    path("api/article/to-async/", aggregated_to_async),
    path("api/article/class-based/", Aggregated.as_view()),
    path("api/article/api/", api),
]
