"""A closed loop of users in bare asyncio: the cheapest client that checks every page, the same for all targets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from urllib.parse import urlsplit

from loadtests.errors import LabDown
from loadtests.generator import page
from loadtests.model.target import Target

ABORTED = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


@dataclass(frozen=True, slots=True)
class Load:
    """Users, and what each of their pages has to be. Times are in seconds.

    `latency`: how long a page takes when it does not queue; `warm_up`: what is thrown away before the measurement.
    `header`: a line that each request has besides, with its end.
    """

    strategy: str
    fan_out: int
    latency: float
    users: int
    warm_up: float
    seconds: float
    header: str = ""

    @property
    def query(self) -> str:
        return f"fan_out={self.fan_out}&latency={self.latency:g}"

    def url(self, target: Target) -> str:
        return f"{target.url}{target.paths[self.strategy]}?{self.query}"


@dataclass(frozen=True, slots=True)
class Window:
    """What ended while it was open. `cpu` is the target's, in seconds; `response_time` the mean, in seconds."""

    users: int
    seconds: float
    pages: int
    response_time: float
    cpu: float

    @property
    def goodput(self) -> float:
        return self.pages / self.seconds

    @property
    def cpu_per_page(self) -> float:
        return self.cpu / self.pages

    @property
    def cores(self) -> float:
        return self.cpu / self.seconds


async def closed_loop(url: str, load: Load, cpu: Callable[[], float]) -> Window:
    """Load `url` and measure; a page that is not whole ends it, because the target is then not at work. Raises LabDown.

    First pages are spread over one page time, as the load generator's are.
    """
    ends: list[tuple[float, float]] = []  # when a page ended, how long it took
    try:
        async with asyncio.TaskGroup() as group:
            users = [group.create_task(user(url, load, number, ends)) for number in range(load.users)]
            await asyncio.sleep(load.warm_up)
            opened, cpu_before = time.perf_counter(), cpu()
            await asyncio.sleep(load.seconds)
            closed, cpu_after = time.perf_counter(), cpu()
            for one in users:
                one.cancel()
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    took = [seconds for end, seconds in ends if opened <= end < closed]
    if not took:
        raise LabDown(f"{url} brought no page in {load.seconds:.0f} s")
    return Window(load.users, closed - opened, len(took), fmean(took), cpu_after - cpu_before)


async def user(url: str, load: Load, number: int, ends: list[tuple[float, float]]) -> None:
    address, request = urlsplit(url), request_for(url, load.header)
    await asyncio.sleep(number * load.latency / load.users)
    try:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            while True:
                asked = time.perf_counter()
                writer.write(request)
                head, body = await answer(reader)
                ended = time.perf_counter()
                if fault := page.fault(int(head[9:12]), body, load.strategy, load.fan_out):
                    raise LabDown(f"{url} did not answer with a page: {fault}")
                ends.append((ended, ended - asked))
        finally:
            writer.close()
    except ABORTED as error:
        raise LabDown(f"{url} cut a connection: {error!r}") from error


def request_for(url: str, header: str = "") -> bytes:
    address = urlsplit(url)
    return (
        f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\nAccept: */*\r\n"
        f"Accept-Encoding: gzip, deflate\r\nUser-Agent: benchmark\r\n{header}\r\n"
    ).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return an answer's head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].split(None, 1)[0])
    return head, await reader.readexactly(size)


def as_figures(measured: Mapping[str, list[Window]]) -> dict[str, list[dict[str, float]]]:
    return {name: [asdict(window) for window in windows] for name, windows in measured.items()}
