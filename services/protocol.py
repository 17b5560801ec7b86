"""uvicorn's HTTP protocol, bounded: how large a request may be, and how long a client may take to send and to read.

httptools sets no limit of its own: a header without an end fills the memory of the server, and a client that sends a
byte now and then, or never reads its answer, keeps its connection for ever. Each server of the lab that is a uvicorn
runs with `--http=services.protocol:BoundedProtocol`.
"""

from __future__ import annotations

from asyncio import TimerHandle
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from services.telemetry.connections import has_left

LARGEST_REQUEST = 16 * 1024  # bytes, with its line, headers and body: the lab's own have a tenth of it
REQUEST_TIMEOUT = 10.0  # seconds from a request's first byte to its last
ANSWER_TIMEOUT = 30.0  # seconds that a client may leave its answers unread once all buffers are full


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A client that sends its next request before it has its answer (pipelining) gets the first answer and is
    disconnected. uvicorn would keep all of them, without a limit, and would not notice that the client has left.
    """

    complete: RequestResponseCycle | None = None  # the last request whose every byte is there
    unfinished = 0  # bytes that came after it
    deaf = False  # to all that the client sends from now on
    request_timer: TimerHandle | None = None
    answer_timer: TimerHandle | None = None

    def connection_made(self, transport: object) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        # uvicorn begins to count after the first answer; a client that never asks would stay.
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self.timeout_keep_alive_task, self.request_timer, self.answer_timer):
            if timer is not None:
                timer.cancel()

    # --- what the client sends --------------------------------------------------------------------------------------

    # These are called for every request: they name uvicorn's own, since super() would cost half as much again.

    def data_received(self, data: bytes) -> None:
        if not self.deaf:
            HttpToolsProtocol.data_received(self, data)
        request = self.cycle
        if request is self.complete or request.more_body:
            self.bound_request(len(data))
        else:
            self.complete = request
            if self.unfinished:
                self.unfinished = 0
                if self.request_timer is not None:
                    self.request_timer.cancel()
                    self.request_timer = None

    def on_headers_complete(self) -> None:
        before: RequestResponseCycle | None = self.cycle
        if self.deaf:
            return
        if before is None and has_left(self.transport.get_extra_info("socket")):
            # It asked and left at once; uvloop would begin the page before it reads on.
            self.deaf = True
            self.transport.abort()
        elif before is None or before.response_complete:
            HttpToolsProtocol.on_headers_complete(self)
        else:
            self.deaf = True
            before.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if not self.deaf:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.deaf:
            HttpToolsProtocol.on_message_complete(self)

    def bound_request(self, came: int) -> None:
        """Go on only as long as the request that is being read is small enough, and young enough."""
        self.unfinished += came
        if self.transport.is_closing():
            return
        if self.unfinished > LARGEST_REQUEST:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self.request_timer is None and not self.deaf:
            self.request_timer = self.loop.call_later(REQUEST_TIMEOUT, self.refuse, HTTPStatus.REQUEST_TIMEOUT)

    def refuse(self, status: HTTPStatus) -> None:
        """Close the connection, with an answer where no page has begun to give one."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # its page is told at once, and writes no more
            self.cycle.message_event.set()
        elif self.cycle is self.complete:  # what is too long is the head of the next
            answer = f"HTTP/1.1 {status.value} {status.phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(answer.encode())
        self.transport.close()

    # --- what the client reads --------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self.answer_timer = self.loop.call_later(ANSWER_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.answer_timer is not None:
            self.answer_timer.cancel()

    def timeout_keep_alive_handler(self) -> None:
        """Drop what the client has not read, too: a close would wait for it."""
        self.transport.abort()
