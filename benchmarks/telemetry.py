"""What it costs a target to say what happens inside it: TELEMETRY=off against on, with the target's core saturated."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from itertools import product
from statistics import median, quantiles
from typing import Any

from benchmarks import lab
from benchmarks.lab import PinnedRuntime
from benchmarks.load import Pace, Wanted, Window, as_figures, closed_loop
from benchmarks.result import Goal, Result, figures_table
from loadtests.generator import sampler, targets

FAN_OUT = 10
# Calls so short that CPU is all that a page waits for, and users enough to keep the core busy.
PAGES = {
    "asgi": Wanted("gather", FAN_OUT, latency=0.05),
    "wsgi": Wanted("threadpool", FAN_OUT, latency=0.02),
}
PACE = Pace(users=40, warm_up=0.7, seconds=2.2)
INSTANCES = 4  # servers of each kind: one differs from the next by as much as telemetry may cost
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
    runtime = PinnedRuntime([])
    measured: dict[str, list[Window]] = defaultdict(list)
    refused = 0
    with lab.running(runtime):
        runtime.prepare()
        for target, switch, instance in product(PAGES, SWITCH, range(INSTANCES)):
            runtime.add_peer(server(target, switch, instance), like=target, extra={"TELEMETRY": switch})
        for target, wanted in PAGES.items():
            runtime.up([server(target, switch, instance) for switch in SWITCH for instance in range(INSTANCES)])
            for instance in range(INSTANCES):
                for _, switch in lab.alternating(SWITCH, ROUNDS):
                    name = server(target, switch, instance)
                    address = runtime.published()[name]
                    url = wanted.url(address, targets.ask(target, address).paths[wanted.strategy])
                    said = runtime.metrics.get(name) if switch == "on" else None
                    loop = partial(while_read, said, partial(closed_loop, url, wanted, PACE, runtime.cpu(name)))
                    window, again = lab.undisturbed(loop, cores, SATURATED)
                    measured[kind(target, switch)].append(window)
                    refused += again
    grid = figures_table("target, TELEMETRY", "pages/s", "pages per CPU s", "spread", "CPU")
    for name, windows in measured.items():
        rates = [pages_per_cpu_second(window) for window in windows]
        grid.add_row(
            name,
            f"{median(window.goodput for window in windows):.1f}",
            f"{median(rates):.1f}",
            f"{min(rates):.1f}–{max(rates):.1f}",
            f"{median(map(cores, windows)):.0%}",
        )
    idle = [name for name, windows in measured.items() if median(map(cores, windows)) < SATURATED]
    return Result(
        title=(
            f"What telemetry costs: {FAN_OUT} calls, {PACE.users} users, {INSTANCES} servers of each kind, "
            f"{ROUNDS} rounds each"
        ),
        goals=[goal(target, measured) for target in PAGES],
        table=grid,
        notes=[NOTE, *([f"Measured again, because the machine was busy: {refused} rounds."] if refused else [])],
        figures={"windows": as_figures(measured.items()), "refused": refused},
        invalid=f"{', '.join(idle)} got less than {SATURATED:.0%} of a core: pages waited for else" if idle else None,
    )


def kind(target: str, switch: str) -> str:
    return f"{target}, {switch}"


def server(target: str, switch: str, instance: int) -> str:
    return f"{kind(target, switch)} {instance + 1}"


def goal(target: str, measured: Mapping[str, list[Window]]) -> Goal:
    """Compare by the median of the rounds' own ratios: a drift affects both sides of a round alike."""
    ratios = [
        pages_per_cpu_second(on) / pages_per_cpu_second(without)
        for on, without in zip(measured[kind(target, "on")], measured[kind(target, "off")], strict=True)
    ]
    kept, (low, _, high) = median(ratios), quantiles(ratios, n=4)
    return Goal(
        name=f"{target}: goodput of a core, on / off",
        wanted=f"≥ {1 - WITHIN:.2f}",
        measured=f"{kept:.3f} ({low:.3f}–{high:.3f})",
        met=kept >= 1 - WITHIN,
        figures={"ratio": kept, "quartiles": [low, high], "limit": 1 - WITHIN},
    )


def pages_per_cpu_second(window: Window) -> float:
    return 1 / window.cpu_per_page


def cores(window: Window) -> float:
    return window.cpu / window.seconds


async def while_read(said: str | None, loop: Callable[[], Coroutine[Any, Any, Window]]) -> Window:
    """Measure while what the target says of itself is read, where it does."""
    reading = asyncio.create_task(read_again_and_again(said)) if said else None
    try:
        return await loop()
    finally:
        if reading:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading


async def read_again_and_again(said: str) -> None:
    while True:
        await asyncio.to_thread(sampler.read, said)
        await asyncio.sleep(READ_EVERY)
