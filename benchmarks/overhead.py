"""What the lab itself costs: ratios of CPU per page, and how near the WSGI plateau comes to what theory predicts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from statistics import fmean, median

from benchmarks import lab, profiles
from benchmarks.lab import PinnedRuntime
from benchmarks.load import Pace, Wanted, Window, as_figures, closed_loop
from benchmarks.result import Goal, Result, figures_table
from loadtests.errors import LabDown
from loadtests.generator import targets

FAN_OUT = 10
ROUNDS = 5

# --- peers ------------------------------------------------------------------------------------

PEERS = {
    "asgi": "the asgi target",
    "fastapi": "FastAPI, its client",
    "aiohttp": "bare aiohttp",
}
PROFILE = lab.LOGS / "asgi.prof"
SMALLEST_SHARE = 0.01
DJANGO = (
    "In Django's way: its ASGIHandler sends request_started and closes the response in a thread of the request's own "
    "(sync_to_async within ThreadSensitiveContext), which is held until the page ends, and ends by another one."
)
PEERS_PAGE = Wanted("gather", FAN_OUT, latency=0.5)
PEERS_PACE = Pace(users=50, warm_up=1.2, seconds=3.5)
LEAST = 0.9  # of users / latency; a round with less was disturbed: its CPU is that of pages that waited for it
TO_FASTAPI = 1.0
TO_BARE = 1.25


def peers() -> Result:
    """Measure whether Django under ASGI is as cheap per page as FastAPI with the same client, and as aiohttp."""
    runtime = PinnedRuntime(["asgi"])
    measured: dict[str, list[Window]] = defaultdict(list)
    threads: dict[str, int] = {}
    disturbed, accepted = 0, []
    with lab.running(runtime):
        runtime.prepare()
        runtime.add_peer("fastapi", "benchmarks.peers.fastapi_app:app")
        bare = ["python", "-m", "benchmarks.peers.aiohttp_app", "--port={port}"]
        runtime.add_peer("aiohttp", command=bare)
        runtime.add_peer("profiled", "benchmarks.peers.profiled:application", extra={"PROFILE": str(PROFILE)})
        PROFILE.unlink(missing_ok=True)
        runtime.up([*PEERS, "profiled"])
        urls = {name: PEERS_PAGE.url(runtime.published()[name], "/api/aggregated/") for name in (*PEERS, "profiled")}
        before = runtime.cpu_by_part("asgi")
        for turn, name in lab.alternating(PEERS, ROUNDS):
            loop = partial(closed_loop, urls[name], PEERS_PAGE, PEERS_PACE, runtime.cpu(name, threads))
            window, refused = lab.undisturbed(loop, goodput_share, LEAST)
            measured[name].append(window)
            disturbed += refused
            if goodput_share(window) < LEAST:
                accepted.append(f"{name} in round {turn + 1} ({goodput_share(window):.0%})")
        after = runtime.cpu_by_part("asgi")
        lab.run(closed_loop(urls["profiled"], PEERS_PAGE, PEERS_PACE, runtime.cpu("profiled")))
        described = runtime.describe()
    started = profiles.calls(PROFILE, "start_new_thread") / profiles.calls(PROFILE, "read_page")
    parts = cpu_shares({part: after[part] - before[part] for part in before})
    cpu = {name: [window.cpu_per_page for window in windows] for name, windows in measured.items()}
    grid = figures_table("server", "pages/s", "CPU ms/page", "spread", "of bare", "threads")
    for name, words in PEERS.items():
        goodput = median(window.goodput for window in measured[name])
        spread = f"{min(cpu[name]) * 1e3:.2f}–{max(cpu[name]) * 1e3:.2f}"
        times = lab.ratio(cpu[name], cpu["aiohttp"])[0]
        grid.add_row(
            words, f"{goodput:.1f}", f"{median(cpu[name]) * 1e3:.2f}", spread, f"{times:.2f}", str(threads[name])
        )
    return Result(
        title=f"CPU per page against peers: {FAN_OUT} calls × {PEERS_PAGE.latency:g} s, {PEERS_PACE.users} users",
        goals=[
            Goal.at_most("asgi / FastAPI with the same client", TO_FASTAPI, lab.ratio(cpu["asgi"], cpu["fastapi"])),
            Goal.at_most("asgi / bare aiohttp", TO_BARE, lab.ratio(cpu["asgi"], cpu["aiohttp"])),
        ],
        table=grid,
        notes=[
            f"threads: the most a process had, with {PEERS_PACE.users} pages in flight",
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
            "windows": as_figures(measured.items()),
            "services": {name: described[name] for name in ("api", *PEERS)},
        },
        invalid=f"disturbed in all of {lab.ATTEMPTS} attempts: {', '.join(accepted)}" if accepted else None,
    )


def goodput_share(window: Window) -> float:
    """Return the share of what these users get when no page waits for CPU."""
    return window.goodput * PEERS_PAGE.latency / window.users


def cpu_shares(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return shares of the target's CPU: the event loop's as the profile divides it, threads, the process beside it."""
    total = sum(seconds.values())
    of_loop = {name: share * seconds["loop"] / total for name, share in profiles.shares(PROFILE).items()}
    others = {"Django's threads": seconds["threads"] / total, "telemetry beside it": seconds["beside"] / total}
    return dict(sorted({**of_loop, **others}.items(), key=lambda one: -one[1]))


# --- harness ----------------------------------------------------------------------------------

HARNESS_USERS = 50
HARNESS_WARM_UP = 1.0  # seconds
HARNESS_SECONDS = 3.0
HARNESS_ROUNDS = 8
TO_BARE_LOCUST = 1.2
PATIENCE = 60.0  # seconds until a load generator has to have ended


def harness() -> Result:
    """Measure what checking and recording cost the load generator, against a Locust user that only asks."""
    runtime = PinnedRuntime([])
    cpu: dict[str, list[float]] = defaultdict(list)
    rates: dict[str, list[float]] = defaultdict(list)
    with lab.running(runtime):
        runtime.prepare()
        runtime.add_peer("instant", "benchmarks.peers.instant:app")
        runtime.up(["instant"])
        url = runtime.published()["instant"]
        for _, name in lab.alternating(("page", "bare"), HARNESS_ROUNDS):
            said = generate(name, url)
            cpu[name].append(said["cpu"] / said["pages"])
            rates[name].append(said["pages"] / said["seconds"])
    words = {"page": "PageUser: pages checked and recorded", "bare": "bare FastHttpUser"}
    grid = figures_table("load generator", "pages/s", "CPU µs/page", "spread")
    for name, text in words.items():
        spread = f"{min(cpu[name]) * 1e6:.0f}–{max(cpu[name]) * 1e6:.0f}"
        grid.add_row(text, f"{median(rates[name]):,.0f}", f"{median(cpu[name]) * 1e6:.0f}", spread)
    return Result(
        title=f"CPU of the load generator per page, {HARNESS_USERS} users at a target that answers at once",
        goals=[Goal.at_most("PageUser / bare FastHttpUser", TO_BARE_LOCUST, lab.ratio(cpu["page"], cpu["bare"]))],
        table=grid,
        notes=[],
        figures={"cpu_seconds_per_page": cpu, "pages_per_second": rates},
    )


def generate(name: str, url: str) -> dict[str, float]:
    """Run Locust with this user class. Raises LabDown."""
    numbers = [str(number) for number in (HARNESS_USERS, HARNESS_WARM_UP, HARNESS_SECONDS)]
    try:
        said = lab.output_of([sys.executable, "-m", "benchmarks.harness", name, url, *numbers], PATIENCE)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise LabDown(f"the load generator {name} did not measure: {error}") from error
    figures: dict[str, float] = json.loads(said)
    return figures


# --- plateau ----------------------------------------------------------------------------------

PLATEAU_PAGE = Wanted("threadpool", FAN_OUT, latency=0.2)
PLATEAU_USERS = 50
PLATEAU_WARM_UP = 2.0  # seconds: until the queue is full, and pages that were abandoned before have ended
PLATEAU_SECONDS = 5.0
PLATEAU_ROUNDS = 3
WITHIN = 0.02


def plateau() -> Result:
    """Measure whether a full WSGI target reaches slots / R; R is the time of a page with a slot, in the same run."""
    runtime = PinnedRuntime(["wsgi"])
    measured: dict[str, list[Window]] = defaultdict(list)
    with lab.running(runtime):
        runtime.prepare()
        runtime.up(["wsgi"])
        wsgi = targets.ask("wsgi", runtime.published()["wsgi"])
        if not wsgi.slots:
            raise LabDown("the wsgi target does not say how many slots it has")
        url = PLATEAU_PAGE.url(wsgi.url, wsgi.paths[PLATEAU_PAGE.strategy])
        users = {"free": wsgi.slots, "full": PLATEAU_USERS}
        for _, name in lab.alternating(users, PLATEAU_ROUNDS):
            pace = Pace(users[name], PLATEAU_WARM_UP, PLATEAU_SECONDS)
            loop = closed_loop(url, PLATEAU_PAGE, pace, runtime.cpu("wsgi"))
            measured[name].append(lab.run(loop))
    unqueued = fmean(window.response_time for window in measured["free"])
    full = fmean(window.goodput for window in measured["full"])
    grid = figures_table("users", "pages/s", "response time ms", "CPU of the server")
    for windows in measured.values():
        grid.add_row(
            str(windows[0].users),
            f"{fmean(window.goodput for window in windows):.2f}",
            f"{fmean(window.response_time for window in windows) * 1e3:.1f}",
            f"{fmean(window.cpu / window.seconds for window in windows):.0%}",
        )
    reached = full / (wsgi.slots / unqueued)
    goal = Goal(
        name=f"goodput / (slots / R), R = {unqueued * 1e3:.1f} ms",
        wanted=f"within {WITHIN:.0%}",
        measured=f"{reached:.3f}",
        met=abs(reached - 1) <= WITHIN,
        figures={"ratio": reached, "limit": WITHIN, "slots": wsgi.slots, "unqueued_seconds": unqueued},
    )
    return Result(
        title=f"The WSGI plateau: {wsgi.slots} slots, {FAN_OUT} calls × {PLATEAU_PAGE.latency:g} s",
        goals=[goal],
        table=grid,
        notes=[f"R is the mean response time at {wsgi.slots} users: every slot taken, nobody waiting."],
        figures={"windows": as_figures(measured.items())},
    )
