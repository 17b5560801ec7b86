"""What the lab itself costs: ratios of CPU per page and of goodput, and how near the WSGI plateau comes to theory."""

from __future__ import annotations

import asyncio
import pstats
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import fmean, median, quantiles
from typing import Any

from benchmarks import lab
from benchmarks.load import Load, Window, as_figures, closed_loop
from benchmarks.result import Goal, Result, figures_table, median_and_spread
from loadtests.errors import LabDown
from loadtests.generator import sampler

FAN_OUT = 10
WITHIN = 0.02  # of what is expected: the plateau, and goodput with telemetry
TRACED = 0.05  # of goodput, that TRACE=1 may cost: it is off unless somebody asks for it

# --- peers ------------------------------------------------------------------------------------

PEERS = {"asgi": "the asgi target", "fastapi": "FastAPI, its client", "aiohttp": "bare aiohttp"}
PROFILE = lab.LOGS / "asgi.prof"
PACKAGE = re.compile(r"(?:site-packages|dist-packages)/([\w-]+?)(?:/|\.py)")
THREADS = re.compile(r"(?:/threading|/concurrent/futures/\w+)\.py$")
OWNERS = {
    "asgiref": "Django",
    "django": "Django",
    "httpx_aiohttp": "httpx",
    **dict.fromkeys(("yarl", "multidict", "aiohappyeyeballs", "propcache", "frozenlist"), "aiohttp"),
    "prometheus_client": "the lab",
}  # any other package is its own
SMALLEST_SHARE = 0.01
DJANGO = (
    "In Django's way: its ASGIHandler sends request_started and closes the response in a thread of the request's own "
    "(sync_to_async within ThreadSensitiveContext), which is held until the page ends, and ends by another one."
)
PEERS_LOAD = Load("gather", FAN_OUT, latency=0.5, users=50, warm_up=1.2, seconds=3.5)
PEERS_ROUNDS = 5
LEAST = 0.9  # of users / latency; a round with less was disturbed: its CPU is that of pages that waited for it
TO_FASTAPI = 1.0
TO_BARE = 1.25


def peers() -> Result:
    """Measure whether Django under ASGI is as cheap per page as FastAPI with the same client, and as aiohttp."""
    measured: dict[str, list[Window]] = defaultdict(list)
    disturbed, accepted = 0, []
    PROFILE.unlink(missing_ok=True)
    with lab.running("asgi") as runtime:
        runtime.add_peer("fastapi", APPLICATION="benchmarks.peers.fastapi_app:app")
        runtime.add_peer("aiohttp", command=["python", "-m", "benchmarks.peers.aiohttp_app", "{port}"])
        runtime.add_peer("profiled", APPLICATION="benchmarks.peers.profiled:application", PROFILE=str(PROFILE))
        runtime.up([*PEERS, "profiled"])
        urls = {name: f"{url}/api/aggregated/?{PEERS_LOAD.query}" for name, url in runtime.published().items()}
        before = runtime.cpu_by_part("asgi")
        for turn, name in lab.alternating(PEERS, PEERS_ROUNDS):
            loop = partial(closed_loop, urls[name], PEERS_LOAD, runtime.cpu(name))
            window, refused = lab.undisturbed(loop, goodput_share, LEAST)
            measured[name].append(window)
            disturbed += refused
            if goodput_share(window) < LEAST:
                accepted.append(f"{name} in round {turn + 1} ({goodput_share(window):.0%})")
        after = runtime.cpu_by_part("asgi")
        lab.run(closed_loop(urls["profiled"], PEERS_LOAD, runtime.cpu("profiled")))
        threads, described = {name: runtime.threads[name] for name in PEERS}, runtime.describe()
    # (file, line, function) → (primitive calls, calls, own seconds, seconds, callers)
    profile: dict[Any, Any] = pstats.Stats(str(PROFILE)).stats  # type: ignore[attr-defined]
    started = calls(profile, "start_new_thread") / calls(profile, "read_page")
    used = {part: after[part] - before[part] for part in before}
    # The event loop's CPU as the profile divides it, threads, the process beside it.
    seconds = Counter({name: share * used["loop"] for name, share in shares(profile).items()})
    seconds.update({"Django's threads": used["threads"], "telemetry beside it": used["beside"]})
    parts = {name: spent / sum(used.values()) for name, spent in seconds.most_common()}
    cpu = {name: [window.cpu_per_page for window in windows] for name, windows in measured.items()}
    grid = figures_table("server", "pages/s", "CPU ms/page", "spread", "of bare", "threads")
    for name, words in PEERS.items():
        goodput = median(window.goodput for window in measured[name])
        cells = median_and_spread([one * 1e3 for one in cpu[name]], 2)
        times = median(cpu[name]) / median(cpu["aiohttp"])
        grid.add_row(words, f"{goodput:.1f}", *cells, f"{times:.2f}", str(threads[name]))
    return Result(
        title=f"CPU per page against peers: {FAN_OUT} calls × {PEERS_LOAD.latency:g} s, {PEERS_LOAD.users} users",
        goals=[
            Goal.at_most("asgi / FastAPI with the same client", TO_FASTAPI, cpu["asgi"], cpu["fastapi"]),
            Goal.at_most("asgi / bare aiohttp", TO_BARE, cpu["asgi"], cpu["aiohttp"]),
        ],
        table=grid,
        notes=[
            f"threads: the most a process had, with {PEERS_LOAD.users} pages in flight",
            *([f"measured again, because the machine was busy: {disturbed} rounds"] if disturbed else []),
            "CPU of the asgi target, by whose code it is (uvloop's, which no profile sees, shared out): "
            + ", ".join(f"{name} {share:.0%}" for name, share in parts.items() if share >= SMALLEST_SHARE),
            f"{started:.1f} threads started a page. {DJANGO}",
        ],
        figures={
            "cpu_seconds_per_page": cpu,
            "threads": threads,
            "disturbed": {"refused": disturbed, "accepted": accepted},
            "asgi_cpu_shares": parts,
            "threads_started_per_page": started,
            "windows": as_figures(measured),
            "services": {name: described[name] for name in ("api", *PEERS)},
        },
        invalid=f"disturbed in all of {lab.ATTEMPTS} attempts: {', '.join(accepted)}" if accepted else None,
    )


def goodput_share(window: Window) -> float:
    """Return the share of what these users get when no page waits for CPU."""
    return window.goodput * PEERS_LOAD.latency / window.users


def shares(profile: dict[Any, Any]) -> dict[str, float]:
    """Return shares of the profiled CPU time by owner; what Python itself does counts for its caller.

    The event loop's own C code is in no profile: to divide all of a thread's CPU by these shares divides it among them.
    """
    seconds: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, callers) in profile.items():
        if name := owner(file):
            seconds[name] += own
            continue
        for (caller, _, _), (_, _, spent, _) in callers.items():
            seconds[owner(caller) or "asyncio and others"] += spent
    total = sum(seconds.values())
    return {name: spent / total for name, spent in seconds.items()}


def owner(file: str) -> str | None:
    """Return who owns a file; None if it is Python's own."""
    if match := PACKAGE.search(file):
        return OWNERS.get(match[1], match[1])
    if THREADS.search(file):
        return "starting threads"
    return "the lab" if "/services/" in file else None


def calls(profile: dict[Any, Any], name: str) -> int:
    """Return how often the functions with this in their name were called."""
    return sum(number for (_, _, function), (_, number, *_) in profile.items() if name in function)


# --- harness ----------------------------------------------------------------------------------

HARNESS_USERS = 50
HARNESS_LOAD = HARNESS_USERS, 1.0, 3.0  # the last two in seconds: of warm-up, of measurement
HARNESS_ROUNDS = 8
GENERATORS = {
    "page": "PageUser: pages checked and recorded",
    "bare": "bare FastHttpUser",
    "2": "two load generators",
    "3": "three load generators",
}
TO_BARE_LOCUST = 1.2
TO_ONE = 1 / 0.9  # CPU a page, so that two on two cores carry 1.8 times as much as one


def harness() -> Result:
    """Measure what checking and recording cost the load generator, against a Locust user that only asks."""
    cpu: dict[str, list[float]] = defaultdict(list)
    rates: dict[str, list[float]] = defaultdict(list)
    with lab.running() as runtime:
        runtime.add_peer("instant", APPLICATION="benchmarks.peers.instant:app")
        runtime.up(["instant"])
        url = runtime.published()["instant"]
        for _, name in lab.alternating(GENERATORS, HARNESS_ROUNDS):
            figures = lab.generated(name, sys.executable, "-m", "benchmarks.harness", name, url, *HARNESS_LOAD)
            cpu[name].append(figures["cpu"] / figures["pages"])
            rates[name].append(figures["pages"] / figures["seconds"])
    grid = figures_table("load generator", "pages/s", "CPU µs/page", "spread")
    for name, words in GENERATORS.items():
        grid.add_row(words, f"{median(rates[name]):,.0f}", *median_and_spread([one * 1e6 for one in cpu[name]], 0))
    return Result(
        title=f"CPU of the load generator per page, {HARNESS_USERS} users at a target that answers at once",
        goals=[
            Goal.at_most("PageUser / bare FastHttpUser", TO_BARE_LOCUST, cpu["page"], cpu["bare"]),
            Goal.at_most("two load generators / one", TO_ONE, cpu["2"], cpu["page"]),
        ],
        table=grid,
        notes=[],
        figures={"cpu_seconds_per_page": cpu, "pages_per_second": rates},
    )


# --- plateau ----------------------------------------------------------------------------------

# It warms up until the queue is full, and pages that were abandoned before have ended.
PLATEAU_LOAD = Load("threadpool", FAN_OUT, latency=0.2, users=50, warm_up=2.0, seconds=5.0)
PLATEAU_ROUNDS = 3


def plateau() -> Result:
    """Measure whether a full WSGI target reaches slots / R; R is the time of a page with a slot, in the same run."""
    measured: dict[str, list[Window]] = defaultdict(list)
    with lab.running("wsgi") as runtime:
        wsgi = runtime.ask("wsgi")
        if not wsgi.slots:
            raise LabDown("the wsgi target does not say how many slots it has")
        loads = {"free": replace(PLATEAU_LOAD, users=wsgi.slots), "full": PLATEAU_LOAD}
        for _, name in lab.alternating(loads, PLATEAU_ROUNDS):
            loop = closed_loop(PLATEAU_LOAD.url(wsgi), loads[name], runtime.cpu("wsgi"))
            measured[name].append(lab.run(loop))
    unqueued = fmean(window.response_time for window in measured["free"])
    full = fmean(window.goodput for window in measured["full"])
    grid = figures_table("users", "pages/s", "response time ms", "CPU of the server")
    for windows in measured.values():
        grid.add_row(
            str(windows[0].users),
            f"{fmean(window.goodput for window in windows):.2f}",
            f"{fmean(window.response_time for window in windows) * 1e3:.1f}",
            f"{fmean(window.cores for window in windows):.0%}",
        )
    reached = full / (wsgi.slots / unqueued)
    name, met = f"goodput / (slots / R), R = {unqueued * 1e3:.1f} ms", abs(reached - 1) <= WITHIN
    figures = {"ratio": reached, "limit": WITHIN, "slots": wsgi.slots, "unqueued_seconds": unqueued}
    return Result(
        title=f"The WSGI plateau: {wsgi.slots} slots, {FAN_OUT} calls × {PLATEAU_LOAD.latency:g} s",
        goals=[Goal(name, f"within {WITHIN:.0%}", f"{reached:.3f}", met, figures)],
        table=grid,
        notes=[f"R is the mean response time at {wsgi.slots} users: every slot taken, nobody waiting."],
        figures={"windows": as_figures(measured)},
    )


# --- telemetry, trace -------------------------------------------------------------------------

SWITCHED_USERS = 40
# Calls so short that CPU is all that a page waits for, and users enough to keep the core busy.
SWITCHED_LOADS = {
    "asgi": Load("gather", FAN_OUT, latency=0.05, users=SWITCHED_USERS, warm_up=0.7, seconds=2.2),
    "wsgi": Load("threadpool", FAN_OUT, latency=0.02, users=SWITCHED_USERS, warm_up=0.7, seconds=2.2),
}
INSTANCES = range(1, 5)  # servers of each kind: one differs from the next by as much as telemetry may cost
SWITCHED_ROUNDS = 4  # of each
READ_EVERY = 1.0  # seconds, as the load generator does
CORE_NOTE = (
    "Pages per CPU second are the goodput of a core that nobody else uses. The process beside the server is in it, and "
    "is read once a second, as in a run."
)
SATURATED = 0.85  # of a core; a round with less was disturbed
EVERY_PAGE = "on, every page"  # a run traces one page of a step
SAMPLED = f"traceparent: 00-{'a' * 32}-{'b' * 16}-01\r\n"


def telemetry() -> Result:
    """Measure whether metrics cost a saturated target less than 2 % of its goodput."""
    return switched("TELEMETRY", {"on": "on", "off": "off"}, WITHIN)


def trace() -> Result:
    """Measure whether TRACE=1 costs a saturated target less than 5 % of its goodput, and what a traced page costs."""
    result = switched("TRACE", {"on": "1", "off": "0", EVERY_PAGE: "1"}, TRACED)
    windows = result.figures["windows"]
    seconds = {
        name: median(one["cpu"] / one["pages"] for one in windows[name])
        for name in (f"{target}, {switch}" for target in SWITCHED_LOADS for switch in ("on", EVERY_PAGE))
    }
    times = ", ".join(
        f"{target} {seconds[f'{target}, {EVERY_PAGE}'] / seconds[f'{target}, on']:.2f}" for target in SWITCHED_LOADS
    )
    off = "TRACE=0 wraps no function, so that nothing is there to measure (tests/integration/test_trace.py)."
    traced = f"A traced page takes so many times the CPU of another: {times}. A run traces one page of a step."
    return replace(result, notes=[*result.notes, off, traced])


def switched(variable: str, switch: dict[str, str], cost: float) -> Result:
    """Compare servers by one variable: its values, by the name that the table has for them; `on` and `off` are two.

    `cost`: the share of goodput that `on` may take.
    """
    measured: dict[str, list[Window]] = defaultdict(list)
    refused = 0
    with lab.running() as runtime:
        for target, load in SWITCHED_LOADS.items():
            servers = {
                f"{target}, {name} {instance}": value for name, value in switch.items() for instance in INSTANCES
            }
            for name, value in servers.items():
                runtime.add_peer(name, like=target, **{variable: value})
            runtime.up(list(servers))
            for instance in INSTANCES:
                for _, kind in lab.alternating(switch, SWITCHED_ROUNDS):
                    name = f"{target}, {kind} {instance}"
                    loop = closed_loop
                    if (variable, kind) != ("TELEMETRY", "off"):
                        loop = partial(while_read, runtime.metrics[name])
                    asked = replace(load, header=SAMPLED) if kind == EVERY_PAGE else load
                    loaded = partial(loop, load.url(runtime.ask(name, target)), asked, runtime.cpu(name))
                    window, again = lab.undisturbed(loaded, lambda window: window.cores, SATURATED)
                    measured[f"{target}, {kind}"].append(window)
                    refused += again
    grid = figures_table(f"target, {variable}", "pages/s", "pages per CPU s", "spread", "CPU")
    for name, windows in measured.items():
        goodput = median(window.goodput for window in windows)
        grid.add_row(name, f"{goodput:.1f}", *median_and_spread(rates(windows), 1), f"{cores(windows):.0%}")
    idle = [name for name, windows in measured.items() if cores(windows) < SATURATED]
    return Result(
        title=f"What {variable} costs: {FAN_OUT} calls, {SWITCHED_USERS} users, {len(INSTANCES)} servers of each kind, "
        f"{SWITCHED_ROUNDS} rounds each",
        goals=[kept_goodput(name, measured[f"{name}, on"], measured[f"{name}, off"], cost) for name in SWITCHED_LOADS],
        table=grid,
        notes=[CORE_NOTE, *([f"Measured again, because the machine was busy: {refused} rounds."] if refused else [])],
        figures={"windows": as_figures(measured), "refused": refused},
        invalid=f"{', '.join(idle)} got less than {SATURATED:.0%} of a core: pages waited for else" if idle else None,
    )


def kept_goodput(target: str, on: list[Window], off: list[Window], cost: float) -> Goal:
    """Compare by the median of the rounds' own ratios: a drift affects both sides of a round alike."""
    ratios = [one / other for one, other in zip(rates(on), rates(off), strict=True)]
    kept, least, (low, _, high) = median(ratios), 1 - cost, quantiles(ratios, n=4)
    name, words = f"{target}: goodput of a core, on / off", f"{kept:.3f} ({low:.3f}–{high:.3f})"
    figures = {"ratio": kept, "quartiles": [low, high], "limit": least}
    return Goal(name, f"≥ {least:.2f}", words, kept >= least, figures)


def rates(windows: list[Window]) -> list[float]:
    """Return pages per CPU second."""
    return [1 / window.cpu_per_page for window in windows]


def cores(windows: list[Window]) -> float:
    return median(window.cores for window in windows)


async def while_read(metrics_url: str, url: str, load: Load, cpu: Callable[[], float]) -> Window:
    """Measure while the target's metrics are read."""

    async def read_again_and_again() -> None:
        while True:
            await asyncio.to_thread(sampler.read, metrics_url)
            await asyncio.sleep(READ_EVERY)

    reading = asyncio.create_task(read_again_and_again())
    try:
        return await closed_loop(url, load, cpu)
    finally:
        reading.cancel()
