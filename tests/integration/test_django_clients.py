"""Django's own test clients, as the articles use them: the views without a server, against the real api."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from threading import Thread

import pytest
from django.test import AsyncClient, Client, override_settings

from services.aggregator.variants import STRATEGIES

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def api(lab: Mapping[str, str]) -> Iterator[None]:
    with override_settings(API_URL=f"{lab['api']}/api/"):
        yield


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
async def test_the_async_client_gets_a_whole_page_from_every_strategy(strategy: str) -> None:
    answer = await AsyncClient().get(STRATEGIES[strategy].url_path, {"fan_out": "3"})
    assert answer.status_code == 200
    assert answer.json()["strategy"] == strategy
    assert [response["task_id"] for response in answer.json()["responses"]] == ["0", "1", "2"]
    assert "dur=" in answer.headers["Server-Timing"]


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_sync_client_gets_the_same_page(strategy: str) -> None:
    answer = Client().get(STRATEGIES[strategy].url_path, {"fan_out": "3"})
    assert [response["task_id"] for response in answer.json()["responses"]] == ["0", "1", "2"]


@pytest.mark.usefixtures("api")
def test_an_async_view_under_wsgi_works_time_after_time() -> None:
    client = Client()
    assert [client.get(STRATEGIES["gather"].url_path, {"fan_out": "2"}).status_code for _ in range(3)] == [
        200,
        200,
        200,
    ]


def refuse() -> Iterator[str]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/"


def say(answer: bytes) -> Callable[[], Iterator[str]]:
    """An api that says this to everybody and hangs up. One that says nothing is in test_contract.py."""

    def serve() -> Iterator[str]:
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", 0))
            server.listen(64)

            def accept() -> None:
                while True:
                    try:
                        connection, _ = server.accept()
                    except OSError:
                        return
                    with connection:
                        connection.recv(4096)
                        connection.sendall(answer)

            thread = Thread(target=accept, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
            server.shutdown(socket.SHUT_RDWR)
        thread.join()

    return serve


def http(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode() + body


BROKEN = {
    "refuses the connection": refuse,
    "hangs up": say(b""),
    "answers in another protocol": say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "answers with a page for people": say(http(b"<html>hello</html>")),
    "answers with other JSON": say(http(b"[1, 2]")),
    "answers for another task": say(http(b'{"message": "x", "task_id": "99"}')),
    "stops in the middle": say(http(b'{"message"', length=1000)),
    "answers with an error": say(http(b"{}", status="500 Internal Server Error")),
}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("how", BROKEN)
async def test_an_api_that_breaks_is_a_bad_gateway_that_says_why(how: str, strategy: str) -> None:
    server = BROKEN[how]()
    with override_settings(API_URL=next(server)):
        answer = await AsyncClient().get(STRATEGIES[strategy].url_path, {"fan_out": "2"})
    next(server, None)
    assert answer.status_code == 502
    assert answer["Content-Type"] == "application/problem+json"
    failures = answer.json()["failures"]
    assert failures[0]["call"] == "task_id=0"
    assert failures[0]["why"]
    assert "responses" not in answer.json()
    assert "Traceback" not in answer.content.decode()
