"""Limit what a client can take from the web UI: bytes, time, and connections."""

from __future__ import annotations

import logging
from http.client import HTTPException
from typing import Any

import gevent
from gevent import GreenletExit, pywsgi

MOST_BODY = 64 * 1024  # bytes; the largest that the web UI sends is under 1 KB
MOST_HEAD = 64 * 1024  # bytes of a request's headers
MOST_CONNECTIONS = 500  # of which a browser has six; those beyond wait until one ends
LONGEST_SILENCE = 30.0  # seconds in which a client neither sends nor takes a byte
LONGEST_REQUEST = 120.0  # seconds for a request and its answer

log = logging.getLogger(__name__)


class Head:
    """Reads the lines of a request's headers, and refuses the request that has too many bytes of them."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines
        self._left = MOST_HEAD

    def readline(self, limit: int) -> bytes:
        line: bytes = self._lines.readline(min(limit, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise Refused("431 Request Header Fields Too Large")
        return line


class Refused(ValueError):
    """Ends a request with this status and closes its connection, so that the rest of the request is never read."""


class Handler(pywsgi.WSGIHandler):  # type: ignore[misc]  # gevent has no types
    ignored_socket_errors = (*pywsgi.WSGIHandler.ignored_socket_errors, "timed out")

    def __init__(self, sock: Any, *arguments: Any) -> None:
        sock.settimeout(LONGEST_SILENCE)
        super().__init__(sock, *arguments)

    def MessageClass(self, lines: Any, *arguments: Any) -> Any:  # noqa: N802  # gevent's name
        return super().MessageClass(Head(lines), *arguments)

    def read_request(self, line: str) -> Any:
        try:
            read = super().read_request(line)
        except OSError as error:
            raise Refused("408 Request Timeout") from error
        except HTTPException as error:  # more lines than Python's parser takes
            raise Refused("431 Request Header Fields Too Large") from error
        if "transfer-encoding" in self.headers:
            raise Refused("411 Length Required")
        if (self.content_length or 0) > MOST_BODY:
            raise Refused("413 Content Too Large")
        return read

    def _handle_client_error(self, error: Exception) -> Any:
        if not isinstance(error, Refused):
            return super()._handle_client_error(error)
        status = str(error)
        return status[:3], f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()

    def handle_one_request(self) -> Any:
        with gevent.Timeout(LONGEST_REQUEST, GreenletExit()):
            return super().handle_one_request()


def bound(web_ui: Any) -> None:
    """Make Locust's web UI serve within these limits. Call it before the web UI starts."""

    def serve() -> None:
        tls = {"keyfile": web_ui.tls_key, "certfile": web_ui.tls_cert} if web_ui.tls_cert and web_ui.tls_key else {}
        web_ui.server = pywsgi.WSGIServer(
            (web_ui.host, web_ui.port),
            web_ui.app,
            log=None,
            error_log=log,
            spawn=MOST_CONNECTIONS,
            handler_class=Handler,
            **tls,
        )
        web_ui.server.serve_forever()

    web_ui.start_server = serve
