from __future__ import annotations

import asyncio

import pytest

from benchmarks.lab import PinnedRuntime
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


def test_a_peer_runs_its_own_application_and_not_that_of_the_service_it_is_like() -> None:
    runtime = PinnedRuntime([])
    try:
        runtime.prepare()
        runtime.add_peer("instant", APPLICATION="benchmarks.peers.instant:app")
        peer, service = runtime.services["instant"], runtime.services["asgi"]
    finally:
        runtime.down()
    assert "$APPLICATION" in peer.command, "which the supervisor fills in"
    assert peer.environment["APPLICATION"] == "benchmarks.peers.instant:app"
    assert set(peer.command) - set(service.command) == {word for word in peer.command if word.startswith("--port=")}
