"""What is true at this second, in one sentence, and what is not comparable right now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtests.analysis.gaps import LAG
from loadtests.analysis.validity import GENERATOR_CPU, LATENESS_SECONDS, LATENESS_SHARE
from loadtests.model.experiment import spoken
from loadtests.model.summary import StepSummary

MACHINE_CPU = 0.8  # of all cores; beyond it somebody waits for one
ENOUGH_PAGES = 20  # in the seconds that a figure looks back at: 5 of 100 pages are slower than p95, of 20 one


@dataclass(frozen=True, slots=True)
class Shown:
    """A target that is loaded. `slots`: None where it has none; `step`: its latest."""

    name: str
    slots: int | None
    step: StepSummary


@dataclass(frozen=True, slots=True)
class Situation:
    """`since_change` and `settled_after` in seconds; `generator_cpu` in cores, of the busiest load generator;
    `machine_cpu`: the share of all cores that is in use; `work`: the CPU seconds that a page is asked to compute.

    `lateness`: the api's p99 beyond the `latency` that was asked for, in seconds; None where it is silent.
    """

    running: bool
    generator_cpu: float = 0.0
    machine_cpu: float = 0.0
    latency: float = 0.0
    work: float = 0.0
    lateness: float | None = 0.0
    since_change: float = 0.0
    settled_after: float = 0.0


def load(shown: Sequence[Shown]) -> str:
    """Return '100 users', or '10 and 50 users' if targets differ."""
    counts = list(dict.fromkeys(one.step["users"] for one in shown))
    users = " and ".join(f"{count:,}" for count in counts)
    each = " each" if len(shown) > 1 and len(counts) == 1 else ""
    return f"{users} user{'' if counts == [1] else 's'}{each}"


def clause(one: Shown) -> str:
    """Return what one target does: '10 pages/s, p95 9.9 s, 10 of 10 slots busy'."""
    p95, inside = one.step["response_time"]["p95"], one.step["inside"]["pages_in_flight"]
    words = [f"{digits(one.step['goodput'])} pages/s"]
    if p95 is not None:
        words.append(f"p95 {digits(p95)} s")
    if inside is not None:
        busy = f"{min(inside, one.slots):.0f} of {one.slots} slots busy" if one.slots else f"{inside:.0f} pages at once"
        words.append(busy)
    if (lag := one.step["inside"]["loop_lag_p99"] or 0.0) > LAG:
        words.append(f"event-loop lag {digits(lag)} s")
    if one.step["failures"]:
        words.append(f"{digits(one.step['failures'] / one.step['seconds'])} failures/s")
    return ", ".join(words)


def moment(shown: Sequence[Shown], *, running: bool) -> str:
    """Return the load under which the sentence is true."""
    return load(shown) if running else f"Stopped at {load(shown)}"


def sentence(shown: Sequence[Shown], *, running: bool = True) -> str:
    """Return '100 users each: WSGI 10 pages/s, p95 9.9 s, 10 of 10 slots busy · ASGI 97 pages/s, p95 1.05 s'."""
    if not shown:
        return "Nothing is loaded: press Start."
    return f"{moment(shown, running=running)}: {' · '.join(f'{spoken(one.name)} {clause(one)}' for one in shown)}"


def reservations(now: Situation, shown: Sequence[Shown]) -> list[str]:
    """Return what is to be said beside the figures, as long as they are shown, also when the load was stopped."""
    return list(doubts(now, shown)) if now.running or shown else []


def doubts(now: Situation, shown: Sequence[Shown]) -> Iterator[str]:
    if now.generator_cpu > GENERATOR_CPU:
        yield (
            f"The load generator is saturated ({now.generator_cpu:.2f} cores): it measures itself. Ask for fewer "
            "users, or start it with GENERATORS=2."
        )
    if now.lateness is None:
        yield "The api does not say what it does: calls in flight and its own response time are unknown."
    elif now.lateness > max(LATENESS_SECONDS, LATENESS_SHARE * now.latency):
        yield f"The api itself is late (p99 {now.lateness * 1000:.0f} ms more than asked for), and every page with it."
    if now.since_change < now.settled_after and not now.running:
        yield "Stopped before the lines had settled: queues were still filling or draining after the last change."
    elif now.since_change < now.settled_after:
        left = now.settled_after - now.since_change
        yield f"Just changed: queues fill or drain, and the lines are settled in about {max(1, round(left))} s."
    elif few := [one for one in shown if one.step["pages"] < ENOUGH_PAGES]:
        names = " and ".join(spoken(one.name) for one in few)
        yield f"Too few pages in the last seconds for {names}: p95 is not much more than the slowest of them."
    yield from blocked(now, shown)
    if len(shown) > 1 and now.machine_cpu > MACHINE_CPU:
        yield (
            f"Both are loaded at once and the machine's CPU is saturated ({now.machine_cpu:.0%}), so they compete for "
            "it. Load them one by one, as make loadtest does."
        )
    elif len(shown) > 1:
        yield (
            "Both are loaded at once and share this machine: trust the shape and the ratio. make loadtest takes turns."
        )


def blocked(now: Situation, shown: Sequence[Shown]) -> Iterator[str]:
    """Say of each target whose event loop comes back late why that may be."""
    for one in shown:
        if (lag := one.step["inside"]["loop_lag_p99"] or 0.0) <= LAG:
            continue
        cpu = (one.step["inside"]["cpu_seconds"] or 0.0) / one.step["seconds"]
        if now.work:
            cause = f"each page computes for {now.work:g} s on it (work)"
        elif now.machine_cpu > MACHINE_CPU:
            cause = f"the machine's CPU is saturated ({now.machine_cpu:.0%})"
        elif cpu > GENERATOR_CPU:
            cause = f"it computes all the time ({cpu:.2f} cores)"
        else:
            cause = "some code blocks it, which does not await"
        yield (
            f"The event loop of {spoken(one.name)} comes back up to {digits(lag)} s late, and all its pages wait for "
            f"that: {cause}."
        )


def digits(value: float) -> str:
    """Return three significant digits, and no trailing zeros: 9.9, 97, 1.05, 0.031."""
    if value >= 99.5:
        return f"{value:,.0f}"
    text = f"{value:.{1 if value >= 9.95 else 2 if value >= 0.0995 else 3}f}"
    return text.rstrip("0").rstrip(".") or "0"
