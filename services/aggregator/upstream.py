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
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
from django.conf import settings
from httpx import AsyncClient as AsyncClient  # noqa: PLC0414  # for those who may not import httpx
from httpx_aiohttp import AiohttpTransport

from services import telemetry

LONGEST_DETAIL = 200  # characters of an error that are passed on

SSL_CONTEXT = ssl.create_default_context()
TIMEOUT = httpx.Timeout(
    connect=settings.CONNECT_TIMEOUT,
    pool=settings.CONNECT_TIMEOUT,
    read=settings.CALL_TIMEOUT,
    write=settings.CALL_TIMEOUT,
)
KEEP_ALIVE = 60.0  # seconds a connection may idle; the api keeps it longer, so it is never closed first

CALLS = telemetry.InFlight("lab_upstream_calls", "calls to the api")
CONNECTIONS = telemetry.counter("lab_upstream_connections_opened", "connections opened to the api")
POOL_WAITS = telemetry.counter("lab_upstream_pool_waits", "calls that waited for a pooled connection")
POOL_WAIT = telemetry.counter("lab_upstream_pool_wait_seconds", "time that calls waited for a pooled connection")
TIMEOUTS = telemetry.counter("lab_upstream_timeouts", "calls that timed out")


class CallFailed(Exception):
    """A call that did not bring its answer: refused, cut off, or answered with nonsense."""

    def __init__(self, call: str, why: str) -> None:
        self.call = call
        self.why = why[:LONGEST_DETAIL]
        super().__init__(f"{call}: {self.why}")

    @property
    def task_id(self) -> str:
        return task_id(self.call)


class CallTimedOut(CallFailed):
    """A call that took longer than its timeouts allow."""


# --- sync -------------------------------------------------------------------------------------


class ClientPool:
    """Idle sync clients; grows to the number of threads that call at the same time."""

    def __init__(self) -> None:
        self._idle: deque[httpx.Client] = deque()  # append and pop are atomic: no lock to contend for

    @contextmanager
    def one(self) -> Iterator[httpx.Client]:
        try:
            client = self._idle.pop()
        except IndexError:
            client = httpx.Client(
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


def count_connections(event: str, info: Mapping[str, Any]) -> None:
    if event == "connection.connect_tcp.complete":
        CONNECTIONS.inc()


TRACE = {"trace": count_connections}


def fetch(call: str, url: str | None = None) -> Any:
    """The answer to one call, from the api where no other url is given. Raises CallFailed."""
    with clients.one() as client, CALLS.one():
        try:
            response = client.get(f"{url or settings.API_URL}?{call}", extensions=TRACE)
        except httpx.HTTPError as error:
            raise failure(call, error) from error
        return answer(call, response)


# --- async ------------------------------------------------------------------------------------


@asynccontextmanager
async def async_client() -> AsyncIterator[AsyncClient]:
    """A client for the running event loop, over the transport that costs least per call."""
    transport = AiohttpTransport(verify=SSL_CONTEXT, client=session)
    async with AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False) as client:
        yield client


def session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=settings.MAX_CONNECTIONS,
        keepalive_timeout=KEEP_ALIVE,
        ttl_dns_cache=300,  # seconds
        ssl=SSL_CONTEXT,
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[connection_trace()]
    )


def connection_trace() -> aiohttp.TraceConfig:
    """Counts connections that are opened, and what calls wait for one of a full pool."""

    async def opened(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
        CONNECTIONS.inc()

    async def queued(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
        context.queued_at = perf_counter()

    async def served(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
        POOL_WAITS.inc()
        POOL_WAIT.inc(perf_counter() - context.queued_at)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(opened)
    trace.on_connection_queued_start.append(queued)
    trace.on_connection_queued_end.append(served)
    return trace


async def afetch(client: AsyncClient, call: str, url: str | None = None) -> Any:
    """The answer to one call, from the api where no other url is given. Raises CallFailed."""
    with CALLS.one():
        try:
            response = await client.get(f"{url or settings.API_URL}?{call}")
        except (httpx.HTTPError, aiohttp.ClientError) as error:
            raise failure(call, error) from error
        return answer(call, response)


# --- both -------------------------------------------------------------------------------------


TIMED_OUT = (httpx.TimeoutException, TimeoutError)


def failure(call: str, error: Exception, timed_out_as: tuple[type[Exception], ...] = TIMED_OUT) -> CallFailed:
    """Which failure it was; `timed_out_as`: how the client says that it took too long.

    The aiohttp transport reports every broken connection as httpx.ConnectTimeout; the cause it
    keeps tells the real ones apart.
    """
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    timed_out = isinstance(cause, timed_out_as)
    if timed_out:
        TIMEOUTS.inc()
    why = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
    return (CallTimedOut if timed_out else CallFailed)(call, why)


def answer(call: str, response: httpx.Response) -> Any:
    """The JSON of a good answer. Raises CallFailed for any other."""
    return checked(call, response.status_code, response.reason_phrase, response.content)


def checked(call: str, status: int, reason: str | None, content: bytes) -> Any:
    if status != HTTPStatus.OK:
        raise CallFailed(call, f"the api answered {status} {reason}")
    try:
        body = json.loads(content)
    except ValueError:
        raise CallFailed(call, f"the api's answer is not JSON: {beginning(content)}") from None
    if not isinstance(body, dict) or body.get("task_id") != task_id(call):
        raise CallFailed(call, f"the api's answer is not for task {task_id(call)}: {beginning(content)}")
    return body


def beginning(content: bytes) -> str:
    return repr(content[:80].decode(errors="replace"))


def task_id(call: str) -> str:
    return call.partition("&")[0].removeprefix("task_id=")
