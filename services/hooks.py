"""gunicorn's hooks: a slot is for clients that are there (`--config=python:services.hooks`).

A thread of gunicorn reads a request, makes the page and writes it, for as long as its client takes. Ten clients that
send half a request, or do not read, would take ten slots for ever; and a thousand that ask and leave would be worked on
for nobody, one after the other. A page that has begun is worked on to its end all the same: that is what WSGI does.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any

from services.telemetry import counters
from services.telemetry.connections import has_left

SLOTS = counters.InFlight("lab_slots", "slots of the server that are taken")
REQUEST_TIMEOUT = 10.0  # seconds without a byte of a request that has begun
ANSWER_TIMEOUT = 30.0  # seconds without room for a byte of an answer


def when_ready(server: Any) -> None:
    """Set the timeouts where the kernel hands them to every connection: at the sockets that listen."""
    for listener in server.LISTENERS:
        for option, seconds in ((socket.SO_RCVTIMEO, REQUEST_TIMEOUT), (socket.SO_SNDTIMEO, ANSWER_TIMEOUT)):
            timeval = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
            listener.sock.setsockopt(socket.SOL_SOCKET, option, timeval)


def post_worker_init(worker: Any) -> None:
    """Count a slot as busy for as long as a thread has a connection, also while it waits for the rest of a request."""
    handle = worker.handle

    def counted(connection: Any) -> Any:
        with SLOTS:
            return handle(connection)

    worker.handle = counted


def pre_request(worker: Any, request: Any) -> None:
    """Raise ConnectionResetError, which gunicorn answers by closing the connection, if its client has left."""
    if has_left(request.unreader.sock):
        raise ConnectionResetError(errno.ECONNRESET, "the client left before its page was begun")
