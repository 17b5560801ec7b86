"""Wrong ways, each with what is wrong with it. Registered like the variants, and never a default."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from random import Random
from typing import Any

import httpx
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from services import query
from services.aggregator import clients
from services.aggregator.middleware import server_timing
from services.aggregator.parameters import Call
from services.aggregator.registry import VARIANT_PATHS, variant
from services.aggregator.strategies import gather
from services.aggregator.upstream import AsyncClient, afetch
from services.aggregator.views import Results, json_response, problem_response
from services.api.behaviour import Behaviour
from services.bounds import OF_A_CALL
from services.problem import Problem

# --- stopping the event loop --------------------------------------------------------------------

BLOCKED = 0.1  # seconds


@variant
async def blocking_call(calls: list[Call], client: AsyncClient) -> Results:
    # Wrong: a call that waits without `await`. Nothing else happens on this event loop meanwhile, in any page. Under
    # WSGI, where a page has a loop of its own, it harms itself only.
    time.sleep(BLOCKED)  # noqa: ASYNC251  # the pitfall itself
    return await gather(calls, client)


# --- clients ------------------------------------------------------------------------------------


@variant
async def client_per_page(calls: list[Call], client: AsyncClient) -> Results:
    # Wrong: every page makes an SSL context (10 ms of CPU and more) and opens all its connections anew.
    async with httpx.AsyncClient() as client_of_this_page:
        return await clients.gather(calls, client_of_this_page)


@variant
async def client_default_limits(calls: list[Call], client: AsyncClient) -> Results:
    # Wrong: 100 connections for all pages together, and 5 s for everything, also for waiting for one of them. Ten
    # pages of ten calls fill it; the next wait, and from some load on their calls time out inside the client.
    return await clients.gather(calls, clients.shared(httpx.AsyncClient))


# --- a server that calls itself -----------------------------------------------------------------

OWN_VIEW = f"{VARIANT_PATHS}own-view/"
RANDOM = Random(1)


@variant
async def self_call(calls: list[Call], client: AsyncClient) -> Results:
    # Wrong where slots are few: with as many such pages as slots, every page waits for a slot that none of them will
    # give back before its calls time out. Where each request has its own thread, as under ASGI, it doubles the work.
    url = f"{settings.SELF_URL}{OWN_VIEW}"
    return await asyncio.gather(*(afetch(client, call, url) for call in calls))


@require_safe
def own_view(request: HttpRequest) -> HttpResponse:
    """Answer as the api does, in a plain sync view of the aggregator. Without a latency it answers at once."""
    nonce = request.headers.get("x-page")
    page = {"page": nonce} if nonce else {}  # the page that calls
    try:
        texts = query.read(request.META["QUERY_STRING"], ("task_id", *OF_A_CALL))
        task = texts.pop("task_id", "")
        outcome = Behaviour(latency=0, jitter=0, fail=0, hang=0).changed(texts).outcome(RANDOM, **page)
    except Problem as problem:
        return problem_response(problem)
    # A thread that hangs for ever could not be stopped: it does so until nobody waits any longer.
    time.sleep(settings.CALL_TIMEOUT if outcome.hangs else outcome.wait)
    if outcome.fails or outcome.hangs:
        return problem_response(Problem("failed as asked", HTTPStatus.SERVICE_UNAVAILABLE, task_id=task))
    return json_response({"message": "Hello World!", "task_id": task, **page})


# --- middleware ---------------------------------------------------------------------------------


def server_timing_sync_only(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    # Wrong under ASGI: a middleware that does not say that it can be async. Django runs it in a thread of its own for
    # every request, and from there goes back to the event loop for the view.
    return server_timing(get_response)
