"""What a user counts where the target's connection breaks: real sockets that a server closes too early."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.runs import LONGEST, ROOT

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEADERS + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = {
    "refuses": None,
    "resets": b"",
    "closes at once": b"",
    "never answers": b"",
    "closes after the headers": CHUNKED,
    "closes after the headers of a known length": HEADERS + b"Content-Length: 90\r\n\r\n",
    "closes in the body": CHUNKED + b'9\r\n{"strateg\r\n',
    "closes in a body of a known length": HEADERS + b'Content-Length: 90\r\n\r\n{"strateg',
}
HOW = dict.fromkeys(BROKEN, "cut off")
HOW |= {
    "never answers": "patience",
    "refuses": "refused",
    "resets": "reset",
    "closes at once": "closed before the answer",
}
BEGUN = {name for name, sent in BROKEN.items() if sent and b"strateg" in sent}

# In a process of its own, because Locust patches the one that imports it. A line of JSON for each URL.
ASKS_EACH_ONCE = """
import json, sys
from argparse import Namespace
from locust.env import Environment
from loadtests.generator.record import Recorder
from loadtests.model.target import Target
from loadtests.generator.users import user_class
options = Namespace(strategy="stream", fan_out=1, latency=0, jitter=0, latency_p99=0, correlated=0, fail=0, work=0)
streams = sys.argv[1] == "streams"
for url in sys.argv[2:]:
    target = Target("asgi", url, "ASGI", None, {"stream": "/"}, 1, {}, {})
    recorder = Recorder()
    one = user_class(target, recorder=recorder, streams=streams, pause_after_failure=0, network_timeout=2)
    environment = Environment(user_classes=[one], parsed_options=options)
    recorder.open()
    one(environment).page()
    print(json.dumps([recorder.ended, recorder.failures, recorder.first_bytes.total_count]))
"""


@dataclass
class Seen:
    """What one user counts at each of the broken servers, and how often it asked there."""

    users: dict[str, Any]
    asked: dict[str, int]


@pytest.fixture(scope="module", params=["whole", "streams"])
def seen(request: pytest.FixtureRequest) -> Seen:
    asked: Counter[str] = Counter()
    with ExitStack() as servers:
        urls = [servers.enter_context(broken_server(way, asked)) for way in BROKEN]
        command = [sys.executable, "-c", ASKS_EACH_ONCE, request.param, *urls]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    users = dict(zip(BROKEN, map(json.loads, ended.stdout.splitlines()), strict=True))
    return Seen(users, asked)


@pytest.mark.parametrize("way", BROKEN)
def test_a_page_whose_connection_breaks_is_one_failure_that_says_how(seen: Seen, way: str) -> None:
    faults, failures, _ = seen.users[way]
    [fault] = faults
    assert fault.startswith("no answer: ")
    assert HOW[way] in fault
    assert failures == {fault: 1}


@pytest.mark.parametrize("way", [way for way in BROKEN if way != "refuses"])
def test_nothing_asks_again_by_itself(seen: Seen, way: str) -> None:
    """A second request that looks like part of the first would hide the fault, and double the time."""
    assert seen.asked[way] == 1


@pytest.mark.parametrize("way", BROKEN)
def test_the_first_byte_of_a_page_is_seen_where_it_is_streamed(seen: Seen, way: str) -> None:
    _, _, first_bytes = seen.users[way]
    assert first_bytes in (0, way in BEGUN)


@contextmanager
def broken_server(way: str, asked: Counter[str]) -> Iterator[str]:
    """The URL of one that breaks every connection in this way, and counts them."""
    sent = BROKEN[way]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if sent is None:
            listener.close()
            yield url
            return
        server = threading.Thread(target=hang_up, args=(listener, way, asked))
        server.start()
        try:
            yield url
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


def hang_up(listener: socket.socket, way: str, asked: Counter[str]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            asked[way] += 1
            if way == "never answers":
                connection.recv(1)  # until the user has left
            if way == "resets":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(BROKEN[way] or b"")
