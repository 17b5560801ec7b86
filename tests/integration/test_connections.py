"""What the kernel says of connections to a server, whichever way it is asked."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from services.telemetry import connections
from services.telemetry.connections import Connections, connections_to
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=10) as server:
        yield server


def refuse(*_: object) -> None:
    raise OSError(errno.EPROTONOSUPPORT, "no such family of sockets")


@pytest.fixture(params=["asked", "read"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, *(("ask", refuse) if request.param == "read" else ("read", refuse)))


@pytest.mark.usefixtures("_way")
def test_it_counts_what_is_open_what_nobody_has_read_and_what_is_not_accepted(server: socket.socket) -> None:
    port = server.getsockname()[1]
    assert connections_to({port}) == (0, 0, 0)
    with ExitStack() as opened:
        users = [opened.enter_context(socket.create_connection(server.getsockname())) for _ in range(5)]
        accepted = [opened.enter_context(closing(server.accept()[0])) for _ in range(3)]
        users[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
        users[1].sendall(b"GET / HTTP/1.1\r\n\r\n")
        users[4].sendall(b"GET / HTTP/1.1\r\n\r\n")  # not accepted, and counted once
        wait_until(lambda: connections_to({port}) == Connections(established=5, unread=2, backlog=2))
        accepted[0].recv(100)
        assert connections_to({port}) == Connections(established=5, unread=1, backlog=2)


@pytest.mark.usefixtures("_way")
def test_another_servers_connections_do_not_count(server: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_connection(other.getsockname()):
        assert connections_to({server.getsockname()[1]}) == (0, 0, 0)
        assert connections_to({other.getsockname()[1]}) == (1, 0, 1)
        assert connections_to({port.getsockname()[1] for port in (server, other)}) == (1, 0, 1)


def test_many_connections_come_in_several_parts(server: socket.socket) -> None:
    server.listen(1000)
    with ExitStack() as opened:
        for _ in range(600):
            opened.enter_context(socket.create_connection(server.getsockname()))
        assert connections_to({server.getsockname()[1]}) == (600, 0, 600)


def test_where_the_kernel_says_nothing_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ask", refuse)
    monkeypatch.setattr(connections, "read", refuse)
    assert connections_to({80}) is None
