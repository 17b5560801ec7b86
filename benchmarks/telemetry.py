"""What it costs a target to say what happens inside it: TELEMETRY=off against on, with the target's core saturated."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from statistics import median, quantiles

from benchmarks import lab
from benchmarks.load import Load, Window, as_figures, closed_loop
from benchmarks.result import Goal, Result, figures_table, median_and_spread
from loadtests.generator import sampler

FAN_OUT, USERS = 10, 40
# Calls so short that CPU is all that a page waits for, and users enough to keep the core busy.
LOADS = {
    "asgi": Load("gather", FAN_OUT, latency=0.05, users=USERS, warm_up=0.7, seconds=2.2),
    "wsgi": Load("threadpool", FAN_OUT, latency=0.02, users=USERS, warm_up=0.7, seconds=2.2),
}
INSTANCES = range(1, 5)  # servers of each kind: one differs from the next by as much as telemetry may cost
ROUNDS = 4  # of each
SWITCH = ("on", "off")
READ_EVERY = 1.0  # seconds, as the load generator does
NOTE = (
    "Pages per CPU second are the goodput of a core that nobody else uses. The process beside the server is in it, and "
    "is read once a second, as in a run."
)
WITHIN = 0.02
SATURATED = 0.85  # of a core; a round with less was disturbed


def telemetry() -> Result:
    """Measure whether metrics cost a saturated target less than 2 % of its goodput."""
    measured: dict[str, list[Window]] = defaultdict(list)
    refused = 0
    with lab.running() as runtime:
        for target, load in LOADS.items():
            servers = {
                (switch, instance): f"{target}, {switch} {instance}" for switch in SWITCH for instance in INSTANCES
            }
            for (switch, _), name in servers.items():
                runtime.add_peer(name, like=target, TELEMETRY=switch)
            runtime.up(list(servers.values()))
            for instance in INSTANCES:
                for _, switch in lab.alternating(SWITCH, ROUNDS):
                    name = servers[switch, instance]
                    loop = partial(while_read, runtime.metrics[name]) if switch == "on" else closed_loop
                    loaded = partial(loop, load.url(runtime.ask(name, target)), load, runtime.cpu(name))
                    window, again = lab.undisturbed(loaded, lambda window: window.cores, SATURATED)
                    measured[f"{target}, {switch}"].append(window)
                    refused += again
    grid = figures_table("target, TELEMETRY", "pages/s", "pages per CPU s", "spread", "CPU")
    for name, windows in measured.items():
        goodput = median(window.goodput for window in windows)
        grid.add_row(name, f"{goodput:.1f}", *median_and_spread(rates(windows), 1), f"{cores(windows):.0%}")
    idle = [name for name, windows in measured.items() if cores(windows) < SATURATED]
    return Result(
        title=(
            f"What telemetry costs: {FAN_OUT} calls, {USERS} users, {len(INSTANCES)} servers of each kind, "
            f"{ROUNDS} rounds each"
        ),
        goals=[goal(target, measured[f"{target}, on"], measured[f"{target}, off"]) for target in LOADS],
        table=grid,
        notes=[NOTE, *([f"Measured again, because the machine was busy: {refused} rounds."] if refused else [])],
        figures={"windows": as_figures(measured), "refused": refused},
        invalid=f"{', '.join(idle)} got less than {SATURATED:.0%} of a core: pages waited for else" if idle else None,
    )


def goal(target: str, on: list[Window], off: list[Window]) -> Goal:
    """Compare by the median of the rounds' own ratios: a drift affects both sides of a round alike."""
    ratios = [one / other for one, other in zip(rates(on), rates(off), strict=True)]
    kept, (low, _, high) = median(ratios), quantiles(ratios, n=4)
    return Goal(
        name=f"{target}: goodput of a core, on / off",
        wanted=f"≥ {1 - WITHIN:.2f}",
        measured=f"{kept:.3f} ({low:.3f}–{high:.3f})",
        met=kept >= 1 - WITHIN,
        figures={"ratio": kept, "quartiles": [low, high], "limit": 1 - WITHIN},
    )


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
