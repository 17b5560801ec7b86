"""Can the slow upstream, on one core, carry 5,000 calls/s with 5,000 calls in flight, and answer in time?

Calls become due evenly, whatever the api does, and each is sent on a connection that has none in flight. The
client is bare asyncio: on a small machine it must be much cheaper per call than the api, or it is what is measured.
"""

from __future__ import annotations

import asyncio
import gc
import math
import resource
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import numpy as np
from rich.table import Table

from benchmarks import lab
from benchmarks.load import answer, request_for
from benchmarks.result import Goal, Result, figures_table
from loadtests.analysis.readings import counted, grown
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
PERCENTILES = {"p50": 50, "p99": 99, "max": 100}

# Ten requests as the ASGI target's client sends them; what was set in the environment is asked for explicitly.
REQUESTS = tuple(
    request_for(f"http://api:8000/api/?task_id={task}&latency={LATENCY:g}&jitter=0&fail=0&hang=0") for task in range(10)
)


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder. Times are in seconds, CPU in cores.

    `api_late`: what p50, p99 and max were at the most, as the api says of itself: bounds of its histogram, None beyond
    it. `client_late`: the same as the client saw it, from when a call was due. `in_time`: share of the api's calls
    that were no later than LATEST.
    """

    asked: int
    in_flight: int
    rate: float
    failures: int
    api_late: Mapping[str, float | None]
    in_time: float
    client_late: Mapping[str, float]
    api_cpu: float
    client_cpu: float

    @property
    def valid(self) -> bool:
        return self.client_cpu <= CLIENT_LIMIT


def api() -> Result:
    """Measure whether the slow upstream carries 5,000 calls/s with 5,000 in flight, and answers in time."""
    allow_connections()
    with lab.running("api") as runtime:
        url, metrics_url = runtime.published()["api"], runtime.metrics["api"]
        steps = [lab.run(climb(url, metrics_url, in_flight)) for in_flight in LADDER]
        described = runtime.describe()["api"]
    goal = next(step for step in steps if step.asked == GOAL)
    too_slow = (
        f"the client used {goal.client_cpu:.0%} of a core, more than {CLIENT_LIMIT:.0%}: "
        "it was too slow itself to say how fast the api is"
    )
    return Result(
        title=f"What the slow api carries, {len(LADDER)} steps",
        goals=goals(goal),
        table=ladder(steps),
        notes=["late: ms beyond the latency, p50 / p99 / max; by the api itself at the most"],
        figures={
            "goal": {"calls_in_flight": GOAL, "latency": LATENCY, "lateness_p99": LATEST, "client_cpu": CLIENT_LIMIT},
            "api": described,
            "steps": [asdict(step) | {"valid": step.valid} for step in steps],
        },
        invalid=None if goal.valid else too_slow,
    )


def goals(step: Step) -> list[Goal]:
    late, seen, limit = step.api_late["p99"], step.client_late["p99"], f"≤ {LATEST * 1e3:.0f} ms"
    return [
        Goal(f"calls/s at {GOAL:,} in flight", f"≥ {GOAL:,}", f"{step.rate:,.0f}", step.rate >= GOAL),
        Goal("calls in flight", f"≥ {GOAL:,}", f"{step.in_flight:,}", step.in_flight >= GOAL),
        Goal("p99 beyond the latency", limit, f"{ms(late)} ms", late is not None and late <= LATEST),
        Goal("the same at the client", limit, f"{ms(seen)} ms", seen <= LATEST),
        Goal("calls that failed", "0", str(step.failures), step.failures == 0),
    ]


def ladder(steps: list[Step]) -> Table:
    grid = figures_table("in flight", "calls/s", "failed", "late: api", "client", "CPU: api", "client")
    for step in steps:
        grid.add_row(
            f"{step.in_flight:,}",
            f"{step.rate:,.0f}",
            str(step.failures),
            " / ".join(map(ms, step.api_late.values())),
            " / ".join(map(ms, step.client_late.values())),
            f"{step.api_cpu:.0%}",
            f"{step.client_cpu:.0%}{'' if step.valid else ' !'}",
        )
    return grid


def ms(seconds: float | None) -> str:
    return "more" if seconds is None else f"{seconds * 1e3:.0f}"


def connections(in_flight: int) -> int:
    return round(in_flight * OFFERED * SPARE)


def allow_connections() -> None:
    """Raise LabDown if the limit, to which the runtime raises what processes may open, is too low."""
    needed = connections(max(LADDER)) + 200
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LabDown(f"the benchmark needs {needed} open files; `ulimit -Hn` allows {hard}. Raise that limit.")


@dataclass
class Client:
    """Offers `in_flight` calls per LATENCY, and a little more. `late`: seconds, of calls that ended in the window."""

    in_flight: int
    response_size: int = 0  # bytes
    idle: deque[Connection] = field(default_factory=deque)
    late: list[float] = field(default_factory=list)
    failures: int = 0
    connections: list[Connection] = field(default_factory=list)

    async def connect(self, host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(REQUESTS[0])
        self.response_size = sum(map(len, await answer(reader)))  # the same for all of REQUESTS
        writer.close()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while missing := connections(self.in_flight) - len(self.connections):
                batch = range(min(BATCH, missing))
                pairs = await asyncio.gather(
                    *(loop.create_connection(lambda: Connection(self), host, port) for _ in batch)
                )
                self.connections += [connection for _, connection in pairs]

    async def offer(self) -> None:
        begun, rate, sent = time.perf_counter(), self.in_flight * OFFERED / LATENCY, 0
        while True:
            now = time.perf_counter()
            while self.idle and (due := begun + sent / rate) <= now:
                self.idle.popleft().call(REQUESTS[sent % len(REQUESTS)], due)
                sent += 1
            await asyncio.sleep(TICK)

    def close(self) -> None:
        self.idle.clear()
        for connection in self.connections:
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
        self._client.failures += 1
        with suppress(ValueError):  # where it has a call in flight
            self._client.idle.remove(self)


async def climb(url: str, metrics_url: str, in_flight: int) -> Step:
    """Load the api at `url` and measure; its metrics are at `metrics_url`. Raises LabDown."""
    address, client = urlsplit(url), Client(in_flight)
    try:
        await client.connect(str(address.hostname), address.port or 80)
        return await measure(client, metrics_url)
    except (OSError, asyncio.IncompleteReadError) as error:
        raise LabDown(f"the api at {url} did not hold {in_flight} connections: {error!r}") from error
    finally:
        client.close()


async def measure(client: Client, metrics_url: str) -> Step:
    gc.collect()
    gc.disable()  # a collection among this many objects takes long enough to be mistaken for lateness
    offering = asyncio.create_task(client.offer())
    try:
        await asyncio.sleep(WARM_UP)
        before = await asyncio.to_thread(sampler.read, metrics_url)
        client.late.clear()
        began, cpu_before = time.perf_counter(), time.process_time()
        await asyncio.sleep(SECONDS)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_before
        late = client.late.copy()
        after, between = await asyncio.to_thread(sampler.read, metrics_url), time.perf_counter() - began
    finally:
        offering.cancel()
        gc.enable()
    calls, api_cpu = counted(before, after, LATENESS), grown(before, after, CPU)
    if after is None or calls is None or api_cpu is None:
        raise LabDown(f"the api does not report its metrics at {metrics_url}")
    total = calls.pop(math.inf)
    seen = np.percentile(late or [0.0], [*PERCENTILES.values()])
    return Step(
        asked=client.in_flight,
        in_flight=after.number("lab_calls_in_flight") or 0,
        rate=len(late) / seconds,
        failures=client.failures,
        api_late={
            name: min((bound for bound, count in calls.items() if count >= share / 100 * total), default=None)
            for name, share in PERCENTILES.items()
        },
        in_time=calls[LATEST] / total,
        client_late=dict(zip(PERCENTILES, map(float, seen), strict=True)),
        api_cpu=api_cpu / between,
        client_cpu=cpu / seconds,
    )
