"""Make Django's ASGI application, with or without a thread for each request."""

from __future__ import annotations

from typing import Any

from django.core import cache
from django.core.handlers import base
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries

# Django's own receivers are all sync, so Django calls them in a thread.
RECEIVERS = (
    (request_started, reset_queries),
    (request_started, close_old_connections),
    (request_finished, close_old_connections),
    (request_finished, cache.close_caches),
    (request_finished, base.reset_urlconf),
)


class SharedThreadHandler(ASGIHandler):
    """Run the sync code of all requests in one thread: without ThreadSensitiveContext, asgiref shares its executor."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await self.handle(scope, receive, send)


def asgi_application(threads: str) -> ASGIHandler:
    """Return Django's application; call it after django.setup(). `threads` is a value of settings.DJANGO_THREADS.

    The receivers close database connections and caches and reset the urlconf. The lab's pages use none of them; with a
    database, settings.py refuses to disconnect the receivers.
    """
    if threads == "each":
        return ASGIHandler()
    for signal, receiver in RECEIVERS:
        signal.disconnect(receiver)
    return SharedThreadHandler() if threads == "shared" else ASGIHandler()
