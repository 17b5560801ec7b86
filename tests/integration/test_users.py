"""What a user counts where the target's connection breaks: real sockets that a server closes too early."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.runs import LONGEST, ROOT

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEADERS + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = {
    "refuses": None,
    "closes at once": b"",
    "closes after the headers": CHUNKED,
    "closes after the headers of a known length": HEADERS + b"Content-Length: 90\r\n\r\n",
    "closes in the body": CHUNKED + b'9\r\n{"strateg\r\n',
    "closes in a body of a known length": HEADERS + b'Content-Length: 90\r\n\r\n{"strateg',
}
BEGUN = {name for name, sent in BROKEN.items() if sent and b"strateg" in sent}

# In a process of its own, because Locust patches the one that imports it. A line of JSON for each URL.
ASKS_EACH_ONCE = """
import json, sys
from argparse import Namespace
from locust.env import Environment
from loadtests.record import Recorder
from loadtests.targets import Target
from loadtests.users import Users, user_class
options = Namespace(strategy="stream", fan_out=1, latency=0, jitter=0, fail=0, work=0)
for url in sys.argv[1:]:
    target = Target("asgi", url, "ASGI", None, {"stream": "/"}, 1, {}, {})
    recorder = Recorder()
    one = user_class(target, first_byte=recorder.first_byte)
    environment = Environment(user_classes=[one], parsed_options=options)
    Users(environment, 1, recorder)
    recorder.open()
    fault = one(environment).ask()
    print(json.dumps([fault, recorder.pages, recorder.failures, recorder.first_bytes.total_count]))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What one user counts at each of the broken servers."""
    with ExitStack() as servers:
        urls = [servers.enter_context(broken_server(sent)) for sent in BROKEN.values()]
        command = [sys.executable, "-c", ASKS_EACH_ONCE, *urls]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    return dict(zip(BROKEN, map(json.loads, ended.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("way", BROKEN)
def test_a_streamed_page_whose_connection_breaks_is_a_failure(seen: dict[str, Any], way: str) -> None:
    fault, pages, failures, first_bytes = seen[way]
    assert fault == "no answer: the connection failed or was cut off"
    assert (pages, failures) == (0, {fault: 1})
    assert first_bytes == (way in BEGUN)


@contextmanager
def broken_server(sent: bytes | None) -> Iterator[str]:
    """The URL of one that answers every request with these bytes and hangs up; None: that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if sent is None:
            listener.close()
            yield url
            return
        server = threading.Thread(target=hang_up, args=(listener, sent))
        server.start()
        try:
            yield url
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


def hang_up(listener: socket.socket, sent: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(sent)
