"""Can the slow upstream, on one core, carry 5,000 calls/s with 5,000 calls in flight, and answer in time?

Calls become due evenly, whatever the api does, and each is sent on a connection that has none in flight. The
client is bare asyncio: on a small machine it must be much cheaper per call than the api, or it is what is measured.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from hdrh.histogram import HdrHistogram

from loadtests.errors import LabDown
from loadtests.generator import sampler
from loadtests.model.server_metrics import LATENESS

LATENCY = 1.0  # seconds the api is asked to wait
LADDER = (1_000, 2_500, 5_000, 7_500)  # calls in flight
GOAL = 5_000  # calls in flight, and with LATENCY also calls/s
LATEST = 0.05 * LATENCY  # seconds that 99 % of the calls may be late at the most
CLIENT_LIMIT = 0.8  # of a core; above it the client is late itself

OFFERED = 1.01  # of the goal, so that the edges of the window cannot make it a few calls short
SPARE = 1.1  # connections per call in flight: as many calls can be late by 10 % before one has to wait
BATCH = 200  # connections opened at once: the kernel's backlog is limited
WARM_UP = 1.5 * LATENCY  # seconds until calls in flight are as many as they will be, and a little
SECONDS = 6.0  # of measurement
TICK = 0.001  # seconds
PATIENCE = 30.0  # seconds until all connections have to be up
CPU = "lab_cpu_seconds_total"

# Ten requests as the ASGI target's client sends them; what was set in the environment is asked for explicitly.
REQUESTS = tuple(
    f"GET /api/?task_id={task}&latency={LATENCY:g}&jitter=0&fail=0&hang=0 HTTP/1.1\r\nHost: api:8000\r\n"
    "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nUser-Agent: benchmark\r\n\r\n".encode()
    for task in range(10)
)


@dataclass(frozen=True, slots=True)
class ApiState:
    """`calls`: by the bound (seconds) of how late they were; `cpu`: seconds used since the start."""

    calls: Mapping[float, float]
    in_flight: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder. Times are in seconds, CPU in cores.

    `api_late`: what p50, p99 and max were at the most, as the api says of itself: bounds of its histogram.
    `client_late`: the same as the client saw it, from when a call was due. `in_time`: share of the api's calls
    that were no later than LATEST.
    """

    asked: int
    in_flight: int
    rate: float
    failures: int
    api_late: Mapping[str, float]
    in_time: float
    client_late: Mapping[str, float]
    api_cpu: float
    client_cpu: float

    @property
    def valid(self) -> bool:
        return self.client_cpu <= CLIENT_LIMIT


class Client:
    """Offers `in_flight` calls per LATENCY, and a little more. `late`: seconds, of calls that ended in the window."""

    def __init__(self, in_flight: int, response_size: int) -> None:
        self.response_size = response_size  # bytes
        self.idle: deque[Connection] = deque()
        self.late: list[float] = []
        self.failures = 0
        self.closed = False
        self._rate = in_flight * OFFERED / LATENCY
        self._wanted = connections(in_flight)
        self._all: list[Connection] = []
        self._begun = 0.0
        self._sent = 0

    async def connect(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while len(self._all) < self._wanted:
                batch = range(min(BATCH, self._wanted - len(self._all)))
                pairs = await asyncio.gather(
                    *(loop.create_connection(lambda: Connection(self), host, port) for _ in batch)
                )
                self._all += [connection for _, connection in pairs]

    def start(self) -> None:
        self._begun = time.perf_counter()
        self._tick()

    def _tick(self) -> None:
        if self.closed:
            return
        now = time.perf_counter()
        while self.idle and (due := self._begun + self._sent / self._rate) <= now:
            self.idle.popleft().call(REQUESTS[self._sent % len(REQUESTS)], due)
            self._sent += 1
        asyncio.get_running_loop().call_later(TICK, self._tick)

    def close(self) -> None:
        self.closed = True
        for connection in self._all:
            connection.transport.abort()


class Connection(asyncio.Protocol):
    """One call at a time. It reads no more of an answer than its status and its size."""

    __slots__ = ("_client", "_due", "_missing", "transport")
    transport: asyncio.Transport

    def __init__(self, client: Client) -> None:
        self._client = client
        self._due = 0.0
        self._missing = 0  # bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._client.idle.append(self)

    def call(self, request: bytes, due: float) -> None:
        self._due = due
        self._missing = self._client.response_size
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing == self._client.response_size and not data.startswith(b"HTTP/1.1 200 "):
            self.transport.abort()  # counted when it is lost
            return
        self._missing -= len(data)
        if self._missing == 0:
            self._client.late.append(time.perf_counter() - self._due - LATENCY)
            self._client.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._client.closed:
            return
        self._client.failures += 1
        if self in self._client.idle:
            self._client.idle.remove(self)


def connections(in_flight: int) -> int:
    return round(in_flight * OFFERED * SPARE)


def allow_connections() -> None:
    """Raise the limit of open files, which a service started afterwards inherits. Raises LabDown."""
    needed = connections(max(LADDER)) + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LabDown(f"the benchmark needs {needed} open files; `ulimit -Hn` allows {hard}. Raise that limit.")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


async def climb(url: str, metrics_url: str, in_flight: int) -> Step:
    """Load the api at `url` and measure; its metrics are at `metrics_url`. Raises LabDown."""
    address = urlsplit(url)
    host, port = str(address.hostname), int(address.port or 80)
    try:
        client = Client(in_flight, await response_size(host, port))
        try:
            await client.connect(host, port)
            return await measure(client, metrics_url, in_flight)
        finally:
            client.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise LabDown(f"the api at {url} did not hold {in_flight} connections: {error!r}") from error


async def response_size(host: str, port: int) -> int:
    """Return the bytes of an answer, head and body: the same for every call of REQUESTS."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(REQUESTS[0])
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return len(head) + int(head.lower().partition(b"content-length:")[2].split(None, 1)[0])


async def measure(client: Client, metrics_url: str, in_flight: int) -> Step:
    gc.collect()
    gc.disable()  # a collection among this many objects takes long enough to be mistaken for lateness
    try:
        client.start()
        await asyncio.sleep(WARM_UP)
        before = await asyncio.to_thread(read_api, metrics_url)
        client.late.clear()
        began, cpu_before = time.perf_counter(), time.process_time()
        await asyncio.sleep(SECONDS)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_before
        late = client.late.copy()
        after = await asyncio.to_thread(read_api, metrics_url)
        api_cpu = (after.cpu - before.cpu) / (time.perf_counter() - began)
    finally:
        gc.enable()
    calls = {bound: count - before.calls[bound] for bound, count in after.calls.items()}
    return Step(
        asked=in_flight,
        in_flight=after.in_flight,
        rate=len(late) / seconds,
        failures=client.failures,
        api_late={"p50": at_most(calls, 0.5), "p99": at_most(calls, 0.99), "max": at_most(calls, 1)},
        in_time=calls[LATEST] / max(calls.values()),
        client_late=quantiles(late),
        api_cpu=api_cpu,
        client_cpu=cpu / seconds,
    )


def read_api(metrics_url: str) -> ApiState:
    """Read the api's metrics. Raises OSError if it does not report them."""
    reading = sampler.read(metrics_url)
    if reading is None:
        raise OSError("no answer from the api's sampler")
    return ApiState(reading.buckets[LATENESS], reading.number("lab_calls_in_flight") or 0, reading.values[CPU])


def at_most(calls: Mapping[float, float], share: float) -> float:
    """Return the seconds that this share of the calls was late at the most; infinite beyond the histogram."""
    return min(bound for bound, count in calls.items() if count >= share * max(calls.values()))


def quantiles(late: list[float]) -> dict[str, float]:
    """Return p50, p99 and max of lateness in seconds, from a histogram of microseconds."""
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for seconds in late:
        histogram.record_value(max(1, round(seconds * 1e6)))
    percentiles = {"p50": 50, "p99": 99, "max": 100}
    return {name: histogram.get_value_at_percentile(percent) / 1e6 for name, percent in percentiles.items()}
