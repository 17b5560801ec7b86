"""Django's ASGI application as it comes, and without what costs a thread for each request."""

from __future__ import annotations

from typing import Any

from django.core import cache
from django.core.handlers import base
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries

# Django's own receivers, all of them sync: to call them a request hops into a thread and back.
RECEIVERS = (
    (request_started, reset_queries),
    (request_started, close_old_connections),
    (request_finished, close_old_connections),
    (request_finished, cache.close_caches),
    (request_finished, base.reset_urlconf),
)


class SharedThreadHandler(ASGIHandler):
    """Requests share one thread for what is sync, in the place of one each (no ThreadSensitiveContext)."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await self.handle(scope, receive, send)


def asgi_application(threads: str) -> ASGIHandler:
    """Return Django's application, after setup; `threads`: of settings.DJANGO_THREADS.

    What the receivers do is not needed here: there is no database, no cache, and no urlconf of a request's own.
    """
    if threads == "each":
        return ASGIHandler()
    for signal, receiver in RECEIVERS:
        signal.disconnect(receiver)
    return SharedThreadHandler() if threads == "shared" else ASGIHandler()
