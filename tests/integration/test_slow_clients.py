"""Clients that take their time: how long a server waits for them, with timeouts that are short enough for a test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from http import HTTPStatus
from types import SimpleNamespace

import pytest
import uvloop
from uvicorn import Config
from uvicorn.server import ServerState

from services import hooks, protocol
from services.bare import Receive, Scope, Send, send_body
from services.protocol import BoundedProtocol
from services.telemetry.connections import has_left
from tests.integration.waiting import wait_until

PATIENCE = 20.0  # seconds; only a hang takes so long
ANSWER = b"x" * 1_000_000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await send_body(send, HTTPStatus.OK, b"text/plain", ANSWER)


@asynccontextmanager
async def served(**options: float) -> AsyncIterator[tuple[ServerState, int]]:
    """A server in this event loop: its state and its port."""
    config = Config(app, ws="none", lifespan="off", log_level="critical", **options)  # type: ignore[arg-type]
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: BoundedProtocol(config, state, {}), "127.0.0.1", 0)
    try:
        yield state, server.sockets[0].getsockname()[1]
    finally:
        server.close()  # without waiting for its connections


def test_a_client_that_sends_a_byte_now_and_then_is_told_that_it_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_TIMEOUT", 0.3)

    async def trickle() -> bytes:
        async with served() as (_, port), asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n")
            # Not to its end: a byte that comes after the server has closed resets the connection.
            answer = asyncio.create_task(reader.readline())
            while not answer.done():
                writer.write(b"X")
                await asyncio.wait([answer], timeout=0.02)
            writer.close()
            return await answer

    assert uvloop.run(trickle()).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_never_asks_is_disconnected() -> None:
    async def stay() -> bytes:
        async with served(timeout_keep_alive=0) as (_, port), asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            came = await reader.read()
            writer.close()
            return came

    assert uvloop.run(stay()) == b""


@pytest.mark.parametrize("keep_alive", ["keep-alive", "close"])
def test_a_client_that_never_reads_is_disconnected(monkeypatch: pytest.MonkeyPatch, keep_alive: str) -> None:
    monkeypatch.setattr(protocol, "ANSWER_TIMEOUT", 0.3)
    request = f"GET / HTTP/1.1\r\nHost: lab\r\nConnection: {keep_alive}\r\n\r\n".encode()

    async def never_read() -> None:
        async with served() as (state, port), asyncio.timeout(PATIENCE):
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.settimeout(0)
                await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
                await asyncio.get_running_loop().sock_sendall(client, request)
                await asyncio.to_thread(wait_until, lambda: bool(state.connections))
                await asyncio.to_thread(wait_until, lambda: not state.connections)

    uvloop.run(never_read())


@contextmanager
def accepted() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection to a socket that gunicorn would listen at: the client's and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        hooks.when_ready(SimpleNamespace(LISTENERS=[SimpleNamespace(sock=server)]))
        with socket.create_connection(server.getsockname()) as client, closing(server.accept()[0]) as connection:
            connection.settimeout(None)
            yield client, connection


def test_a_thread_of_gunicorn_waits_for_half_a_request_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "REQUEST_TIMEOUT", 0.2)
    with accepted() as (client, connection):
        client.sendall(b"GET / HT")
        assert connection.recv(100)
        with pytest.raises(BlockingIOError):
            connection.recv(100)


def test_a_thread_of_gunicorn_waits_for_a_client_that_does_not_read_only_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks, "ANSWER_TIMEOUT", 0.2)
    with accepted() as (_, connection), pytest.raises(BlockingIOError):
        connection.sendall(ANSWER * 50)


def test_gunicorn_begins_no_page_for_a_client_that_has_left() -> None:
    with accepted() as (client, connection):
        request = SimpleNamespace(unreader=SimpleNamespace(sock=connection))
        client.sendall(b"GET / HTTP/1.1\r\n\r\n" * 20)
        hooks.pre_request(None, request)
        client.close()
        wait_until(lambda: has_left(connection))
        with pytest.raises(ConnectionResetError):
            hooks.pre_request(None, request)
