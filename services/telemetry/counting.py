"""Pages from their beginning to their last byte, counted around the whole application.

So they count in the same way whatever middleware there is, also those that stream and those whose user has gone. A
probe of /healthz counts as well: it takes a slot as a page does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, nullcontext
from typing import Any

from prometheus_client import Counter

from services.bare import Message, Receive, Scope, Send
from services.telemetry import counters

PAGES = counters.InFlight("lab_pages", "pages of the aggregator")
FINISHED = Counter("lab_pages_finished", "pages whose answer was made to its end")
CANCELLED = Counter("lab_pages_cancelled", "pages that ended before their answer was whole")

Asgi = Callable[..., Awaitable[Any]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]


def count_wsgi(application: Wsgi) -> Wsgi:
    """Count around the answer; the server closes it when it has sent the last byte, or has given up."""

    def counted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        whole = False
        with PAGES:
            try:
                answer = application(environ, start_response)
                with closing(answer) if hasattr(answer, "close") else nullcontext():
                    whole = not getattr(answer, "streaming", True)  # where it is not Django's own, it tells by its end
                    yield from answer
                    whole = True
            finally:
                (FINISHED if whole else CANCELLED).inc()

    return counted


def count_asgi(application: Asgi) -> Asgi:
    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        whole = False

        async def watched(message: Message) -> None:
            nonlocal whole
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                whole = True
                # Django still has a thread or two to wait for; on a busy event loop the user's next page comes first.
                PAGES.end()

        PAGES.begin()
        try:
            await application(scope, receive, watched)
        finally:
            if not whole:
                PAGES.end()
            (FINISHED if whole else CANCELLED).inc()

    return counted
