"""An api that comes back at another address, as a container does: how soon the async client finds it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from services.aggregator import upstream
from services.aggregator.parameters import Call
from services.aggregator.upstream import CallFailed, afetch, async_client

PATIENCE = 30.0  # seconds; an address that is kept for longer is a fault
CALLS = 200
CALL = Call(1, "")
ANSWER = {"task_id": "1"}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = b'{"task_id": "1"}'
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


@asynccontextmanager
async def api_at(address: str, port: int) -> AsyncIterator[int]:
    server = await asyncio.start_server(answer, address, port, backlog=CALLS)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def where(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Where a name leads to now, and how often it was looked up."""
    where: dict[str, Any] = {"address": "127.0.0.1", "lookups": 0}

    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        where["lookups"] += 1
        named = {"hostname": host, "host": where["address"], "port": port}
        return [{**named, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
    return where


def test_an_api_that_came_back_at_another_address_is_found(where: dict[str, Any]) -> None:
    async def move() -> None:
        async with async_client() as client:
            async with api_at("127.0.0.1", 0) as port:
                assert await afetch(client, CALL, f"http://api.lab:{port}/") == ANSWER
            where["address"] = "127.0.0.2"
            async with api_at("127.0.0.2", port), asyncio.timeout(PATIENCE):
                while True:
                    answered = await afetch(client, CALL, f"http://api.lab:{port}/")
                    if not isinstance(answered, CallFailed):
                        break
                    await asyncio.sleep(0.05)
                assert answered == ANSWER

    asyncio.run(move())


def test_calls_that_open_connections_at_the_same_time_look_the_address_up_together(where: dict[str, Any]) -> None:
    async def many() -> None:
        async with async_client() as client, api_at("127.0.0.1", 0) as port:
            url = f"http://api.lab:{port}/"
            answers = await asyncio.gather(*(afetch(client, CALL, url) for _ in range(CALLS)))
            assert answers == [ANSWER] * CALLS

    asyncio.run(many())
    assert where["lookups"] < CALLS / 10
    assert upstream.ADDRESS_KEPT < PATIENCE / 2
