from __future__ import annotations

import asyncio

import pytest

from benchmarks.peers import instant
from services.bare import Message


@pytest.mark.parametrize("query", [b"fan_out=10&latency=1&page=fedcba9876543210", b"fan_out=10&latency=1"])
def test_the_instant_peer_sends_as_many_bytes_as_it_announces(query: bytes) -> None:
    """With the nonce of a page, and to the bare user, who sends none."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {}

    asyncio.run(instant.app({"type": "http", "query_string": query}, receive, send))
    start, body = sent
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(body["body"])
