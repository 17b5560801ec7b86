"""Spans of OpenTelemetry, kept in files for the process beside the server to serve. trace.py alone imports this.

A page is traced if its `traceparent` says that it is sampled. Any other page costs a look at its headers, and each of
its calls a look at the current span.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from contextvars import ContextVar, copy_context
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from time import perf_counter, time_ns
from typing import Any, TypeVar, cast

from asgiref.sync import AsyncToSync, SyncToAsync
from opentelemetry.exporter.otlp.json.file import FileSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services import env
from services.bare import Receive, Scope, Send
from services.telemetry.scrape import LARGEST_SPANS, SPANS

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

EXPORT_EVERY = 500  # milliseconds: after the page, not while it is timed
PROVIDER = TracerProvider(
    sampler=ParentBased(ALWAYS_OFF), resource=Resource.create({"service.name": env.text("TARGET")})
)
TRACER = PROVIDER.get_tracer("lab")
FROM_HEADER = TraceContextTextMapPropagator()
SUBMITTED: ContextVar[int | None] = ContextVar("submitted", default=None)  # when a pool got the call, in ns since 1970


def start() -> None:
    """Keep spans beside the counters of this process, and make spans of switches between threads and event loop."""
    spool = Spool(Path(env.text("PROMETHEUS_MULTIPROC_DIR")))
    PROVIDER.add_span_processor(BatchSpanProcessor(spool, schedule_delay_millis=EXPORT_EVERY))
    follow_switches()


class Spool(SpanExporter):
    """Writes each batch to a file of its own; the oldest files of all workers make room for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        path = self._folder / f"{time_ns()}-{os.getpid()}.part"
        exporter = FileSpanExporter(path)
        result = exporter.export(spans)
        exporter.shutdown()
        path.rename(path.with_suffix(SPANS))  # whole, or not there
        room = LARGEST_SPANS
        for file in sorted(self._folder.glob(f"*{SPANS}"), reverse=True):
            with suppress(FileNotFoundError):  # another worker was faster
                room -= file.stat().st_size
                if room < 0:
                    file.unlink()
        return result


# --- pages ------------------------------------------------------------------------------------


def page(traceparent: str | None) -> AbstractContextManager[object]:
    if not traceparent:
        return nullcontext()
    context = FROM_HEADER.extract({"traceparent": traceparent})
    return TRACER.start_as_current_span("page", context, SpanKind.SERVER, record_exception=False)


def page_wsgi(application: Function) -> Function:
    def traced(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        with page(environ.get("HTTP_TRACEPARENT")):
            yield from application(environ, start_response)

    return cast("Function", traced)


def page_asgi(application: Function) -> Function:
    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        header = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
        with page(header):
            await application(scope, receive, send)

    return cast("Function", traced)


# --- calls ------------------------------------------------------------------------------------


def call(function: Function) -> Function:
    """Trace a function that makes a call, sync or async, where its page is traced."""

    @wraps(function)
    def traced(*arguments: Any, **named: Any) -> Any:
        if not get_current_span().is_recording():
            return function(*arguments, **named)
        with call_span() as span:
            return noted(span, function(*arguments, **named))

    @wraps(function)
    async def atraced(*arguments: Any, **named: Any) -> Any:
        if not get_current_span().is_recording():
            return await function(*arguments, **named)
        with call_span() as span:
            return noted(span, await function(*arguments, **named))

    return cast("Function", atraced if iscoroutinefunction(function) else traced)


@contextmanager
def call_span() -> Iterator[Span]:
    """Make a span that begins when a pool got the call, if one did, and in it the wait for a thread of the pool."""
    submitted = SUBMITTED.get()
    with TRACER.start_as_current_span(
        "call", None, SpanKind.CLIENT, start_time=submitted, record_exception=False
    ) as span:
        if submitted is not None:
            waited("wait for a thread", submitted)
        yield span


def noted(span: Span, result: T) -> T:
    """Return the result; if it says why the call failed, the span says so too."""
    if why := getattr(result, "why", None):
        span.set_status(StatusCode.ERROR, why)
    return result


class Executor(ThreadPoolExecutor):
    """A pool whose threads know the page that a call belongs to."""

    def submit(self, function: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        if not get_current_span().is_recording():
            return super().submit(function, *arguments, **named)
        context = copy_context()
        context.run(SUBMITTED.set, time_ns())
        return super().submit(context.run, function, *arguments, **named)


async def waited_for_connection(session: Any, wait: Any, params: Any) -> None:
    """Make a span of the wait for a connection of a full pool, which aiohttp says has ended."""
    waited("wait for a connection", time_ns() - round((perf_counter() - wait.queued_at) * 1e9))


def waited(name: str, since: int) -> None:
    """Make a span that ends now, in the current one."""
    TRACER.start_span(name, start_time=since).end()


# --- switches ---------------------------------------------------------------------------------


def follow_switches() -> None:
    """Make asgiref trace each switch from the event loop to a thread, and the other way, until it is back."""
    to_thread, to_loop = SyncToAsync.__call__, AsyncToSync.__call__

    async def traced_to_thread(self: Any, *arguments: Any, **named: Any) -> Any:
        with switched("thread", self.func):
            return await to_thread(self, *arguments, **named)

    def traced_to_loop(self: Any, *arguments: Any, **named: Any) -> Any:
        with switched("event loop", self.awaitable):
            return to_loop(self, *arguments, **named)

    SyncToAsync.__call__, AsyncToSync.__call__ = traced_to_thread, traced_to_loop  # type: ignore[method-assign]


def switched(where: str, function: object) -> AbstractContextManager[object, None]:
    until_it_is_back: ExitStack[None] = ExitStack()
    if get_current_span().is_recording():
        span = TRACER.start_span(f"{where}: {getattr(function, '__name__', 'function')}")
        until_it_is_back.callback(span.end)
    return until_it_is_back
