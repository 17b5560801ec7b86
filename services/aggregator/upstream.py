"""The only door to the api: HTTP clients, their limits and timeouts, and what can go wrong.

httpx is the client's API everywhere. Three set-ups, because a client's cost decides more than the
server does:

- under ASGI one async client for the process, opened and closed with it (asgi.py);
- under WSGI an async view runs on an event loop of its own, to which no other view's client can
  belong: a client for the page, but with the one SSL context, whose making costs more than the calls;
- for sync code a pool of clients, each used by one thread at a time. Threads that share a client
  queue for its lock.
"""

from __future__ import annotations

import json
import ssl
from collections import deque
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import httpx2
from aiohttp import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from django.conf import settings
from httpx_aiohttp import AiohttpTransport
from prometheus_client import Counter

from services.aggregator.parameters import Call
from services.telemetry import counters, trace

LONGEST_DETAIL = 200  # characters of an error that are passed on

SSL_CONTEXT = ssl.create_default_context()
TIMEOUT = httpx.Timeout(settings.CALL_TIMEOUT, connect=settings.CONNECT_TIMEOUT, pool=settings.CONNECT_TIMEOUT)
ADDRESS_KEPT = 1  # seconds; only a call that opens a connection looks the api's address up, and all of them together
KEEP_ALIVE = 60.0  # seconds a connection may idle; the api keeps it longer, so it is never closed first

CALLS = counters.InFlight("lab_upstream_calls", "calls to the api")
CONNECTIONS = Counter("lab_upstream_connections_opened", "connections opened to the api")
POOL_WAITS = Counter("lab_upstream_pool_waits", "calls that waited for a pooled connection")
POOL_WAIT = Counter("lab_upstream_pool_wait_seconds", "time that calls waited for a pooled connection")
TIMEOUTS = Counter("lab_upstream_timeouts", "calls that timed out")


class CallFailed:
    """In the place of an answer: the call was refused, cut off, answered with nonsense, or `timed_out`."""

    def __init__(self, call: Call, why: str, *, timed_out: bool = False) -> None:
        self.call, self.why, self.timed_out = call, why[:LONGEST_DETAIL], timed_out


# What a call of httpx costs beyond its transport is mostly work that these calls have no use for. So it is left out
# through httpx's public API, on both sides: parsing a URL that was asked for before (aiohttp's own client keeps those
# too), merging the client's headers, cookies and parameters into the request, looking for cookies in the answer.

parsed = lru_cache(maxsize=4096)(httpx.URL)


def request(call: Call, url: str | None = None) -> httpx.Request:
    """Return the request of a call: to the api, if no other url is given."""
    return httpx.Request("GET", parsed(f"{url or settings.API_URL}?{call.query}"), headers=call.headers)


class NoCookies(httpx.Cookies):
    """Stays empty: the api sets none, and asking costs a tenth of a call's CPU."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


NO_COOKIES = NoCookies()


class Client(httpx.Client):
    """Has one connection at most, and knows by each answer whether it is still the same one."""

    cookies = NO_COOKIES  # type: ignore[override]
    _connection: object = None

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE)
        super().__init__(verify=SSL_CONTEXT, timeout=TIMEOUT, limits=limits, trust_env=False)

    def count_connection(self, response: httpx.Response) -> None:
        """Count a connection with its first answer. httpx could say when it is opened, for 7 % of a page."""
        if (connection := response.extensions["network_stream"]) is not self._connection:
            self._connection = connection
            CONNECTIONS.inc()


class AsyncClient(httpx.AsyncClient):
    cookies = NO_COOKIES  # type: ignore[override]


# --- sync -------------------------------------------------------------------------------------


# As many as threads have called at the same time. Append and pop are atomic: no lock to contend for.
idle: deque[Client] = deque()


@trace.call
def fetch(call: Call) -> Any:
    """Return the api's answer to one call, or CallFailed."""
    with CALLS:
        try:
            client = idle.pop()
        except IndexError:
            client = Client()
        try:
            response = client.send(request(call))
            client.count_connection(response)
        except httpx.HTTPError as error:
            return failure(call, error)
        finally:
            idle.append(client)
        return answer(call, response)


# --- async ------------------------------------------------------------------------------------


def async_client() -> AsyncClient:
    """Make a client for the running event loop, over the transport that costs least per call."""
    transport = AiohttpTransport(verify=SSL_CONTEXT, client=session)
    return AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False)


def session() -> aiohttp.ClientSession:
    connector = Connector(
        limit=settings.MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=ADDRESS_KEPT, ssl=SSL_CONTEXT
    )
    made = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    # It would repeat a call whose connection breaks before the answer: two calls that look like one.
    made._retry_connection = False  # noqa: SLF001  # there is no option for it
    return made


class Connector(aiohttp.TCPConnector):
    """Counts connections that are opened, and what calls wait for one of a full pool.

    Only a call that can meet a full pool is traced, and only until it has its connection: a session's trace is asked at
    every part of every call, which costs 3 % of a page.
    """

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:  # noqa: ASYNC109  # aiohttp's signature
        if CALLS.now <= settings.MAX_CONNECTIONS:
            return await super().connect(req, traces, timeout)
        wait = SimpleNamespace(queued_at=None)  # of time.perf_counter(), while the call waits for a connection
        try:
            trace = Trace(None, WATCHED, wait)  # type: ignore[arg-type]  # nobody asks for its session
            return await super().connect(req, [trace], timeout)
        except TimeoutError:
            if wait.queued_at is None:
                raise
            why = f"waited for one of {settings.MAX_CONNECTIONS} pooled connections"
            raise httpx.PoolTimeout(why) from None  # aiohttp would say that it could not connect

    async def _create_connection(self, *arguments: Any, **more: Any) -> Any:
        protocol = await super()._create_connection(*arguments, **more)
        CONNECTIONS.inc()
        return protocol


async def queued(session: Any, wait: Any, params: Any) -> None:
    POOL_WAITS.inc()
    wait.queued_at = perf_counter()


async def served(session: Any, wait: Any, params: Any) -> None:
    if wait.queued_at is not None:
        POOL_WAIT.inc(perf_counter() - wait.queued_at)
    wait.queued_at = None


WATCHED = aiohttp.TraceConfig()
WATCHED.on_connection_queued_start.append(queued)
WATCHED.on_connection_queued_end.extend([*trace.WAITED, served])
WATCHED.freeze()


@trace.call
async def afetch(client: AsyncClient, call: Call, url: str | None = None) -> Any:
    """Return the answer to one call, from the api if no other url is given, or CallFailed."""
    with CALLS:
        try:
            response = await client.send(request(call, url))
        except (httpx.HTTPError, aiohttp.ClientError) as error:
            return failure(call, error)
        return answer(call, response)


# --- both -------------------------------------------------------------------------------------


def failure(call: Call, error: Exception) -> CallFailed:
    """Return which failure it was.

    The aiohttp transport reports every broken connection as httpx.ConnectTimeout; the cause it
    keeps tells the real ones apart.
    """
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    timed_out = isinstance(cause, (httpx.TimeoutException, httpx2.TimeoutException, TimeoutError))
    if timed_out:
        TIMEOUTS.inc()
    why = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
    return CallFailed(call, why, timed_out=timed_out)


def answer(call: Call, response: httpx.Response) -> Any:
    """Return the JSON of a good answer, and CallFailed for any other."""
    return checked(call, response.status_code, response.reason_phrase, response.content)


def checked(call: Call, status: int, reason: str | None, content: bytes) -> Any:
    if status != HTTPStatus.OK:
        return CallFailed(call, f"the api answered {status} {reason}")
    try:
        body = json.loads(content)
    except ValueError:
        return CallFailed(call, f"the api's answer is not JSON: {beginning(content)}")
    if not isinstance(body, dict) or body.get("task_id") != call.task_id:
        return CallFailed(call, f"the api's answer is not for task {call.task_id}: {beginning(content)}")
    return body


def beginning(content: bytes) -> str:
    return repr(content[:80].decode(errors="replace"))
