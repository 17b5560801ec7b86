"""Other async HTTP clients than the one of upstream.py, each shared by the process: what a client alone costs.

Each is made when a page first asks for it, on the event loop of the ASGI deployment, whose end closes it. Under WSGI
there is no such loop: an async page has one of its own, so nothing async can be shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar
from weakref import WeakSet

import aiohttp
import httpx
import httpx2
from django.conf import settings
from httpx_aiohttp import AiohttpTransport

from services.aggregator.parameters import Call
from services.aggregator.upstream import (
    CALLS,
    CONNECTIONS,
    KEEP_ALIVE,
    SSL_CONTEXT,
    TIMED_OUT,
    TIMEOUT,
    CallFailed,
    answer,
    checked,
    failure,
    session,
)
from services.aggregator.views import PageFailed, Results

IDLE = 20  # connections that httpx's and httpx2's pools keep, as by default: each call looks at all of them

Client = TypeVar("Client")
Fetch = Callable[[Any, Call], Awaitable[Any]]


class Shared:
    """The clients of one event loop, by what makes them."""

    def __init__(self) -> None:
        self._clients: dict[Callable[[], Any], Any] = {}
        self._closing: AsyncExitStack | None = None

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """Keep the clients as long as the event loop lives, then close those that were made."""
        async with AsyncExitStack() as self._closing:
            yield
        self._closing = None
        self._clients.clear()

    def get(self, make: Callable[[], Client], close: str = "aclose") -> Client:
        """Return the client, made without an await so that two first pages do not make two. Raises PageFailed."""
        if self._closing is None:
            why = "this page shares an async client with all others; that takes ASGI's one event loop"
            raise PageFailed(HTTPStatus.NOT_IMPLEMENTED, why)
        if make not in self._clients:
            self._clients[make] = client = make()
            self._closing.push_async_callback(getattr(client, close))
        return self._clients[make]  # type: ignore[no-any-return]


shared = Shared()


# --- httpx and httpx2, which have the same API -------------------------------------------------


def httpx_client() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=IDLE, keepalive_expiry=KEEP_ALIVE)
    return httpx.AsyncClient(verify=SSL_CONTEXT, timeout=TIMEOUT, limits=limits, trust_env=False)


def httpx_aiohttp_client() -> httpx.AsyncClient:
    """Make upstream.py's client without what that leaves out of a call: used like every other client here."""
    transport = AiohttpTransport(verify=SSL_CONTEXT, client=session)
    return httpx.AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False)


def httpx2_client() -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=IDLE, keepalive_expiry=KEEP_ALIVE)
    timeout = httpx2.Timeout(**TIMEOUT.as_dict())
    return httpx2.AsyncClient(verify=SSL_CONTEXT, timeout=timeout, limits=limits, trust_env=False)


async def fetch_httpx(client: Any, call: Call) -> Any:
    """Return the api's answer to one call. Raises CallFailed."""
    with CALLS:
        try:
            response = await client.get(f"{settings.API_URL}?{call.query}", headers=call.headers)
        except (httpx.HTTPError, httpx2.HTTPError, aiohttp.ClientError) as error:
            raise failure(call, error, (*TIMED_OUT, httpx2.TimeoutException)) from error
        connection = response.extensions.get("network_stream")  # aiohttp's transport counts its own
        if connection is not None and connection not in connections:
            connections.add(connection)
            CONNECTIONS.inc()
        return answer(call, response)


connections: WeakSet[object] = WeakSet()  # counted with their first answer


# --- aiohttp -----------------------------------------------------------------------------------


AIOHTTP_TIMEOUT = aiohttp.ClientTimeout(
    total=None, connect=settings.CONNECT_TIMEOUT, sock_connect=settings.CONNECT_TIMEOUT, sock_read=settings.CALL_TIMEOUT
)


async def fetch_aiohttp(client: aiohttp.ClientSession, call: Call) -> Any:
    """Return the api's answer to one call. Raises CallFailed."""
    with CALLS:
        try:
            async with client.get(
                f"{settings.API_URL}?{call.query}", headers=call.headers, timeout=AIOHTTP_TIMEOUT
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, httpx.PoolTimeout, TimeoutError) as error:
            raise failure(call, error) from error
        return checked(call, response.status, response.reason, content)


# --- all of them -------------------------------------------------------------------------------


async def attempt(fetch: Fetch, client: Any, call: Call) -> Any:
    try:
        return await fetch(client, call)
    except CallFailed as error:
        return error


def gather(calls: list[Call], client: Any, fetch: Fetch = fetch_httpx) -> asyncio.Future[Results]:
    """Make all calls at once, as the strategy `gather` does."""
    return asyncio.gather(*(attempt(fetch, client, call) for call in calls))
