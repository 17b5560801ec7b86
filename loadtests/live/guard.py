"""Apply one rule to every request of the web UI, to Locust's own routes as to the lab's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Request, jsonify

from loadtests.live.origins import Origins

ANSWERED = {
    # Nothing from elsewhere may show the web UI in a frame, where a person would click without knowing what.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
CORS = "access-control-"  # how every header begins that lets other origins read an answer

Headers = list[tuple[str, str]]


def guard(app: Any, origins: Origins) -> None:
    """Refuse a request that comes from another site or for another host, before Flask sees it."""
    inner: WSGIApplication = app.wsgi_app

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, *more: Any) -> Callable[[bytes], object]:
            return start_response(status, closed(headers), *more)

        request = Request(environ)
        if not (reason := origins.refusal(request.method, dict(request.headers))):
            return inner(environ, start)
        with app.app_context():
            refused = jsonify(success=False, message=reason)
        refused.status_code = 403
        return refused(environ, start)

    app.wsgi_app = guarded


def closed(headers: Headers) -> Headers:
    """Return the headers without CORS, by which Locust opens every answer to every origin."""
    kept = [(name, value) for name, value in headers if not name.lower().startswith(CORS)]
    named = {name.lower() for name, _ in kept}
    return kept + [(name, value) for name, value in ANSWERED.items() if name.lower() not in named]
