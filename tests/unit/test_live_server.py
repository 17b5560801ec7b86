from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from loadtests.live import server

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


class WebUI:
    """As much of Locust's as is served."""

    host, port = "127.0.0.1", 0
    tls_cert = tls_key = None
    start_server: Callable[[], None]
    server: Any = None

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            gevent.sleep(60)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"answer" if environ["PATH_INFO"] == "/" else b"x" * 50_000_000]


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(server, "LONGEST_SILENCE", 0.2)
    monkeypatch.setattr(server, "LONGEST_REQUEST", 1.0)
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    web_ui = WebUI()
    server.bound(web_ui)
    serving = gevent.spawn(web_ui.start_server)
    with gevent.Timeout(10):
        while web_ui.server is None or not web_ui.server.started:
            gevent.sleep(0.01)
        yield "127.0.0.1", web_ui.server.server_port
    web_ui.server.stop()
    serving.kill()


def connect(address: tuple[str, int], *pieces: bytes) -> Any:
    connection = socket.create_connection(address, timeout=10)
    for piece in pieces:
        connection.sendall(piece)
    return connection


def answer(connection: Any) -> bytes:
    """All that comes until the server closes the connection."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionError:
        pass
    connection.close()
    return received


def test_a_request_is_answered(address: tuple[str, int]) -> None:
    assert answer(connect(address, REQUEST, b"Connection: close\r\n\r\n")).endswith(b"answer")


@pytest.mark.parametrize("begun", [b"", b"GET", REQUEST, REQUEST + b"Content-Length: 9\r\n\r\n"])
def test_who_falls_silent_is_left(address: tuple[str, int], begun: bytes) -> None:
    assert b"200 OK" not in answer(connect(address, begun)) or begun.endswith(b"\r\n\r\n")


def test_who_sends_a_byte_at_a_time_is_left_as_well(address: tuple[str, int]) -> None:
    def drip(connection: Any) -> None:
        while True:
            connection.sendall(b"X")
            gevent.sleep(0.02)

    connection = connect(address, REQUEST)
    with pytest.raises(ConnectionError), gevent.Timeout(10):
        drip(connection)
    connection.close()


def test_who_takes_nothing_of_the_answer_is_left(address: tuple[str, int]) -> None:
    connection = connect(address, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    gevent.sleep(1.0)
    assert len(answer(connection)) < 50_000_000


def test_an_answer_that_takes_too_long_is_given_up(address: tuple[str, int]) -> None:
    assert b"200 OK" not in answer(connect(address, b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"))


def test_connections_beyond_the_most_wait_and_are_then_served(address: tuple[str, int]) -> None:
    held = [connect(address, REQUEST) for _ in range(server.MOST_CONNECTIONS)]
    assert b"answer" in answer(connect(address, REQUEST, b"Connection: close\r\n\r\n"))
    for connection in held:
        connection.close()


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"Content-Length: 600000000\r\n\r\n"], b"413"),
        ([b"Content-Length: 65537\r\n\r\n"], b"413"),
        ([b"Transfer-Encoding: chunked\r\n\r\n"], b"411"),
        ([b"Transfer-Encoding: gzip, chunked\r\n\r\n"], b"411"),
        ([b"X: a\r\n" * 101, b"\r\n"], b"431"),
        ([b"X: " + b"a" * 30_000 + b"\r\n"] * 3, b"431"),
        ([b"Content-Length: -1\r\n\r\n"], b"400"),
        ([b"Content-Length: x\r\n\r\n"], b"400"),
    ],
)
def test_what_is_too_much_is_refused_before_it_is_read(
    address: tuple[str, int], pieces: list[bytes], status: bytes
) -> None:
    assert answer(connect(address, REQUEST, *pieces)).startswith(b"HTTP/1.1 " + status)
