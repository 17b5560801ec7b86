"""The strategy `gather` over other async HTTP clients than upstream.py's, each shared by the process: what one costs.

They are used as their documentation shows, with the same timeouts. Each is made when a page first asks for it, on the
event loop of the ASGI deployment, whose end closes it. Under WSGI there is no such loop: an async page has one of its
own, so nothing async can be shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import cache
from http import HTTPStatus
from typing import Any
from weakref import WeakSet

import aiohttp
import httpx
import httpx2
from django.conf import settings
from httpx_aiohttp import AiohttpTransport

from services import target
from services.aggregator import upstream
from services.aggregator.parameters import Call
from services.aggregator.registry import variant
from services.aggregator.upstream import KEEP_ALIVE, SSL_CONTEXT, TIMEOUT, AsyncClient, failure, session
from services.aggregator.views import Results
from services.problem import Problem
from services.telemetry import trace

Fetch = Callable[[Any, Call], Awaitable[Any]]
IDLE = 20  # connections that httpx's and httpx2's pools keep, as by default: each call looks at all of them

closing = AsyncExitStack()  # closes the clients that were made; asgi.py keeps it open as long as its event loop lives


@cache
def shared(make: Callable[..., Any], *arguments: Any) -> Any:
    """Return the process's client, made without an await so that two first pages do not make two. Raises Problem."""
    if target.INTERFACE == "wsgi":
        why = "this page shares an async client with all others; that takes ASGI's one event loop"
        raise Problem(why, HTTPStatus.NOT_IMPLEMENTED)
    client = make(*arguments)
    closing.push_async_exit(client)
    return client


# --- httpx and httpx2, which have the same API -------------------------------------------------


def pooled(library: Any) -> Any:
    limits = library.Limits(max_connections=None, max_keepalive_connections=IDLE, keepalive_expiry=KEEP_ALIVE)
    timeout = library.Timeout(**TIMEOUT.as_dict())
    return library.AsyncClient(verify=SSL_CONTEXT, timeout=timeout, limits=limits, trust_env=False)


def over_aiohttp() -> httpx.AsyncClient:
    """Make upstream.py's client without what that leaves out of a call: used like every other client here."""
    transport = AiohttpTransport(verify=SSL_CONTEXT, client=session)
    return httpx.AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False)


connections: WeakSet[object] = WeakSet()  # counted with their first answer


@trace.call
async def fetch_httpx(client: Any, call: Call) -> Any:
    """Return the api's answer to one call, or CallFailed."""
    with upstream.CALLS:
        try:
            response = await client.get(f"{settings.API_URL}?{call.query}", headers=call.headers)
        except (httpx.HTTPError, httpx2.HTTPError, aiohttp.ClientError) as error:
            return failure(call, error)
        connection = response.extensions.get("network_stream")  # aiohttp's transport counts its own
        if connection is not None and connection not in connections:
            connections.add(connection)
            upstream.CONNECTIONS.inc()
        return upstream.answer(call, response)


def gather(calls: list[Call], client: Any, fetch: Fetch = fetch_httpx) -> asyncio.Future[Results]:
    """Make all calls at once, as the strategy `gather` does."""
    return asyncio.gather(*(fetch(client, call) for call in calls))


@variant
async def client_httpx(calls: list[Call], client: AsyncClient) -> Results:
    return await gather(calls, shared(pooled, httpx))


@variant
async def client_httpx_aiohttp(calls: list[Call], client: AsyncClient) -> Results:
    return await gather(calls, shared(over_aiohttp))


@variant
async def client_httpx2(calls: list[Call], client: AsyncClient) -> Results:
    return await gather(calls, shared(pooled, httpx2))


# --- aiohttp -----------------------------------------------------------------------------------


AIOHTTP_TIMEOUT = aiohttp.ClientTimeout(
    total=None, connect=settings.CONNECT_TIMEOUT, sock_connect=settings.CONNECT_TIMEOUT, sock_read=settings.CALL_TIMEOUT
)


@trace.call
async def fetch_aiohttp(client: aiohttp.ClientSession, call: Call) -> Any:
    """Return the api's answer to one call, or CallFailed."""
    url = f"{settings.API_URL}?{call.query}"
    with upstream.CALLS:
        try:
            async with client.get(url, headers=call.headers, timeout=AIOHTTP_TIMEOUT) as response:
                content = await response.read()
        except (aiohttp.ClientError, httpx.PoolTimeout, TimeoutError) as error:
            return failure(call, error)
        return upstream.checked(call, response.status, response.reason, content)


@variant
async def client_aiohttp(calls: list[Call], client: AsyncClient) -> Results:
    return await gather(calls, shared(session), fetch_aiohttp)
