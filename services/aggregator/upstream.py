"""The only door to the api: HTTP clients, their limits and timeouts, and what can go wrong.

    CallFailed           one call did not bring its answer
    └─ CallTimedOut      … because it took too long

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
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter
from typing import Any

import aiohttp
import httpx
from aiohttp import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from django.conf import settings
from httpx_aiohttp import AiohttpTransport
from prometheus_client import Counter

from services.aggregator.parameters import Call
from services.telemetry import counters

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


class CallFailed(Exception):
    """A call that did not bring its answer: refused, cut off, or answered with nonsense."""

    def __init__(self, call: Call, why: str) -> None:
        self.call = call
        self.why = why[:LONGEST_DETAIL]
        super().__init__(f"{call}: {self.why}")


class CallTimedOut(CallFailed):
    """A call that took longer than its timeouts allow."""


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

    _connection: object = None

    def count_connection(self, response: httpx.Response) -> None:
        """Count a connection with its first answer. httpx could say when it is opened, for 7 % of a page."""
        if (connection := response.extensions["network_stream"]) is not self._connection:
            self._connection = connection
            CONNECTIONS.inc()

    @property  # type: ignore[misc]  # to be read only: nobody sets them
    def cookies(self) -> httpx.Cookies:
        return NO_COOKIES


class AsyncClient(httpx.AsyncClient):
    @property  # type: ignore[misc]  # to be read only: nobody sets them
    def cookies(self) -> httpx.Cookies:
        return NO_COOKIES


# --- sync -------------------------------------------------------------------------------------


class ClientPool:
    """Idle sync clients; grows to the number of threads that call at the same time."""

    def __init__(self) -> None:
        self._idle: deque[Client] = deque()  # append and pop are atomic: no lock to contend for

    @contextmanager
    def one(self) -> Iterator[Client]:
        try:
            client = self._idle.pop()
        except IndexError:
            client = Client(
                verify=SSL_CONTEXT,
                timeout=TIMEOUT,
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE),
                trust_env=False,
            )
        try:
            yield client
        finally:
            self._idle.append(client)


clients = ClientPool()


def fetch(call: Call) -> Any:
    """Return the api's answer to one call. Raises CallFailed."""
    with clients.one() as client, CALLS:
        try:
            response = client.send(request(call))
        except httpx.HTTPError as error:
            raise failure(call, error) from error
        client.count_connection(response)
        return answer(call, response)


# --- async ------------------------------------------------------------------------------------


@asynccontextmanager
async def async_client() -> AsyncIterator[AsyncClient]:
    """Return a client for the running event loop, over the transport that costs least per call."""
    transport = AiohttpTransport(verify=SSL_CONTEXT, client=session)
    async with AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False) as client:
        yield client


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
        wait = PoolWait()
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


@dataclass
class PoolWait:
    """`queued_at`: a moment of time.perf_counter(), while a call waits for a pooled connection."""

    queued_at: float | None = None


async def queued(session: Any, wait: Any, params: Any) -> None:
    POOL_WAITS.inc()
    wait.queued_at = perf_counter()


async def served(session: Any, wait: Any, params: Any) -> None:
    if wait.queued_at is not None:
        POOL_WAIT.inc(perf_counter() - wait.queued_at)
    wait.queued_at = None


WATCHED = aiohttp.TraceConfig()
WATCHED.on_connection_queued_start.append(queued)
WATCHED.on_connection_queued_end.append(served)
WATCHED.freeze()


async def afetch(client: AsyncClient, call: Call, url: str | None = None) -> Any:
    """Return the answer to one call, from the api if no other url is given. Raises CallFailed."""
    with CALLS:
        try:
            response = await client.send(request(call, url))
        except (httpx.HTTPError, aiohttp.ClientError) as error:
            raise failure(call, error) from error
        return answer(call, response)


# --- both -------------------------------------------------------------------------------------


TIMED_OUT = (httpx.TimeoutException, TimeoutError)


def failure(call: Call, error: Exception, timed_out_as: tuple[type[Exception], ...] = TIMED_OUT) -> CallFailed:
    """Return which failure it was; `timed_out_as`: how the client says that it took too long.

    The aiohttp transport reports every broken connection as httpx.ConnectTimeout; the cause it
    keeps tells the real ones apart.
    """
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    timed_out = isinstance(cause, timed_out_as)
    if timed_out:
        TIMEOUTS.inc()
    why = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
    return (CallTimedOut if timed_out else CallFailed)(call, why)


def answer(call: Call, response: httpx.Response) -> Any:
    """Return the JSON of a good answer. Raises CallFailed for any other."""
    return checked(call, response.status_code, response.reason_phrase, response.content)


def checked(call: Call, status: int, reason: str | None, content: bytes) -> Any:
    if status != HTTPStatus.OK:
        raise CallFailed(call, f"the api answered {status} {reason}")
    try:
        body = json.loads(content)
    except ValueError:
        raise CallFailed(call, f"the api's answer is not JSON: {beginning(content)}") from None
    if not isinstance(body, dict) or body.get("task_id") != call.task_id:
        raise CallFailed(call, f"the api's answer is not for task {call.task_id}: {beginning(content)}")
    return body


def beginning(content: bytes) -> str:
    return repr(content[:80].decode(errors="replace"))
