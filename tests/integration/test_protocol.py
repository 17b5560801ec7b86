"""What a client may do to the servers of the lab: how much it may send, and how long it may take."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest

from services import protocol
from tests.integration.waiting import PATIENCE, read, wait_until

UVICORNS = ("api", "asgi")
every_uvicorn = pytest.mark.parametrize("service", UVICORNS)
every_server = pytest.mark.parametrize("service", [*UVICORNS, "wsgi"])
ENOUGH = 200_000_000  # bytes: what a client may send before the test gives up
GROWTH = 30e6  # bytes of memory


@contextmanager
def connected(lab: Mapping[str, str], service: str) -> Iterator[socket.socket]:
    url = httpx.URL(lab[service])
    with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE) as connection:
        yield connection


def sent_until_refused(connection: socket.socket, part: bytes) -> int:
    """How many bytes the server took before it closed the connection."""
    sent = 0
    with suppress(ConnectionError):
        while sent < ENOUGH:
            connection.sendall(part)
            sent += len(part)
    return sent


def answer(connection: socket.socket) -> bytes:
    with suppress(ConnectionError):
        return connection.recv(4096)
    return b""


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: lab\r\n\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: lab\r\n"
ENDLESS = {
    "header": (b"GET /healthz HTTP/1.1\r\nX-Long: ", b"x" * 65536),
    "headers": (b"GET /healthz HTTP/1.1\r\n", b"X-Many: x\r\n" * 6000),
    "URL": (b"GET /", b"x" * 65536),
    "blank lines": (b"", b"\r\n" * 30000),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"),
    "chunk extension": (POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 65536),
    "body": (POST + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536),
}


@every_uvicorn
@pytest.mark.parametrize("what", ENDLESS)
def test_a_request_without_an_end_is_refused_before_it_takes_memory(
    lab: Mapping[str, str], service: str, what: str
) -> None:
    before = read(lab, service).values["lab_memory_bytes"]
    beginning, part = ENDLESS[what]
    with connected(lab, service) as connection:
        connection.sendall(beginning)
        assert sent_until_refused(connection, part) < ENOUGH
    assert read(lab, service).values["lab_memory_bytes"] < before + GROWTH
    assert httpx.get(f"{lab[service]}/healthz", trust_env=False).status_code == 200


@every_uvicorn
def test_a_header_that_is_too_long_is_refused_by_name(lab: Mapping[str, str], service: str) -> None:
    with connected(lab, service) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * (protocol.LARGEST_REQUEST + 1))
        assert answer(connection).startswith(b"HTTP/1.1 431 ")


@every_server
def test_a_thousand_clients_that_pipeline_and_leave_leave_nothing_to_do(lab: Mapping[str, str], service: str) -> None:
    """Under WSGI the slots' pages go on; those that wait for a slot are not begun."""
    path = "/api/?latency=1" if service == "api" else "/api/aggregated/?fan_out=1&latency=1"
    request = f"GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode() * 20
    before = read(lab, service)
    for _ in range(10):
        with ExitStack() as clients:
            for _ in range(100):
                clients.enter_context(connected(lab, service)).sendall(request)
    with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
        assert client.get(f"{lab[service]}/healthz").status_code == 200
    if service != "api":
        finished = "lab_pages_finished_total"
        wait_until(lambda: read(lab, service).number("lab_pages_in_flight") == 0)
        assert read(lab, service).values[finished] - before.values.get(finished, 0.0) < 200


@every_uvicorn
def test_a_request_that_comes_before_the_last_is_answered_ends_the_connection_after_that_answer(
    lab: Mapping[str, str], service: str
) -> None:
    path = b"/api/?latency=0.2" if service == "api" else b"/api/aggregated/?fan_out=1&latency=0.2"
    with connected(lab, service) as connection:
        connection.sendall((b"GET " + path + b" HTTP/1.1\r\nHost: lab\r\n\r\n") * 5)
        came = b""
        while part := answer(connection):
            came += part
    assert came.count(b"HTTP/1.1 ") == came.count(b"HTTP/1.1 200 ") == 1
    assert b"connection: close" in came.lower()


@every_server
def test_requests_one_after_the_other_share_a_connection(lab: Mapping[str, str], service: str) -> None:
    with connected(lab, service) as connection:
        for _ in range(3):
            connection.sendall(REQUEST)
            came = answer(connection)
            while b"\r\n\r\n{" not in came or not came.rstrip().endswith(b"}"):
                came += answer(connection)
            assert came.startswith(b"HTTP/1.1 200 ")
