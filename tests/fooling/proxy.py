"""A proxy that somebody put between, and that does what proxies and networks do."""

from __future__ import annotations

import asyncio
import re
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

NONCE = re.compile(rb"page=([\w-]+)")
GONE = (ConnectionError, asyncio.IncompleteReadError)


@dataclass
class Proxy:
    """`way`: 'resets' connections, 'repeats' requests, or 'caches' answers and gives them out with the right nonce."""

    to: int  # port on loopback
    way: str
    every: int  # so manieth request
    requests: Iterator[int] = field(default_factory=lambda: count(1))
    cached: bytes = b""
    cached_for: bytes = b""

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", self.to)
        with suppress(*GONE):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                answer = await self.answer(request, upstream)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        writer.transport.abort()
        upstream[1].transport.abort()

    async def answer(self, request: bytes, upstream: tuple[StreamReader, StreamWriter]) -> bytes | None:
        """None: the connection is reset."""
        nonce = NONCE.search(request)
        asked = nonce is not None or b"task_id=" in request  # a page or a call; probes of its health pass
        chosen = asked and next(self.requests) % self.every == 0
        if chosen and self.way == "resets":
            return None
        if chosen and self.way == "repeats":
            await ask(request, upstream)
        if self.way == "caches" and nonce and self.cached:
            await asyncio.sleep(0.25)
            return self.cached.replace(self.cached_for, nonce[1])
        answer = await ask(request, upstream)
        if nonce:
            self.cached, self.cached_for = answer, nonce[1]
        return answer


async def ask(request: bytes, upstream: tuple[StreamReader, StreamWriter]) -> bytes:
    reader, writer = upstream
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return head + await reader.readexactly(int(length[1]) if length else 0)


@contextmanager
def proxy(to: int, way: str, every: int) -> Iterator[int]:
    """The port that it listens at."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(Proxy(to, way, every).serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(end, loop, server)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def end(loop: asyncio.AbstractEventLoop, server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    asyncio.gather(*tasks, return_exceptions=True).add_done_callback(lambda _: loop.stop())
