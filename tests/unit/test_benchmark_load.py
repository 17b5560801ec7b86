from __future__ import annotations

import asyncio

import pytest

from benchmarks.load import Load, closed_loop
from loadtests.errors import LabDown


async def load_server(answer: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        load = Load("gather", 1, latency=0.0, users=2, warm_up=10.0, seconds=10.0)
        await closed_loop(f"http://{host}:{port}/", load, lambda: 0.0)


def test_a_page_that_is_not_whole_ends_the_load_in_one_sentence() -> None:
    body = b'{"title": "Busy", "detail": "later"}'
    with pytest.raises(LabDown, match=r"did not answer with a page: 503 Busy: later"):
        asyncio.run(load_server(b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)))


def test_a_connection_that_is_cut_ends_the_load_in_one_sentence() -> None:
    with pytest.raises(LabDown, match=r"cut a connection"):
        asyncio.run(load_server(b""))
