"""Is the measurement worth a verdict? Pure. A failed check says the value, the limit and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from loadtests.analysis import uncertainty
from loadtests.analysis.conservation import CALLS, laws
from loadtests.analysis.machine import MOST_TAKEN, MOST_USED
from loadtests.analysis.statistics import Measured, percentile
from loadtests.analysis.verdict import Check
from loadtests.model.measurement import FEWEST_PAGES, GeneratorFigures
from loadtests.model.units import digits, duration, size

GENERATOR_CPU = 0.8  # of its core: beyond it the generator measures itself
THROTTLED = 0.05  # share of the time that a CPU limit may hold back the api or the generator
MEMORY = 0.9  # of its limit
CLOCK_STEP = 0.05  # seconds
WINDOW_SKEW = 0.01  # share of its length by which the window of one load generator may differ from another's
LATENESS_SHARE, LATENESS_SECONDS = 0.05, 0.020  # of the latency, or at least so much; api and arrivals alike
FAILURES = 0.01  # share of pages beyond those that are meant to fail
ENOUGH_TO_MISS = {False: 8, True: 20}  # pages: users who wait end theirs regularly, arrivals (open loop) at random
TURNS = 1.0  # times the median response time that a window has to last: its pages are followed to their ends


@dataclass(frozen=True, slots=True)
class Limits:
    """What the services are allowed: `memory` in bytes by service, the generator's cores; None: no limit.

    `contained`: whether compose.yaml's limits hold, as they do for containers. `quick`: whether steps are short on
    purpose.
    """

    memory: Mapping[str, int | None] = field(default_factory=dict)
    generator_cpus: float | None = None
    contained: bool = True
    quick: bool = False


def checks(measured: Iterable[Measured], limits: Limits) -> list[Check]:
    """Return the checks of all measurements, causes before effects: a verdict quotes the first that fails."""
    everything = list(measured)
    return [
        *(check for one in everything for check in checks_of_generators(one)),
        *(check for one in everything for check in (*checks_of_failures(one), *laws(one))),
        *(check for one in everything for check in checks_of_others(one)),
        *(check for one in everything for check in (*checks_of_load(one, limits), *checks_of_limits(one, limits))),
    ]


def checks_of_generators(one: Measured) -> Iterator[Check]:
    """Check whether several load generators did together what one alone would have done."""
    if len(one.generators) == 1:
        return
    faults = [f"{generator.name} {generator.fault}" for generator in one.generators if generator.fault]
    yield one.check(
        "load generators",
        not faults,
        "; ".join(faults) or f"all {len(one.generators) - 1} did their share",
        "each does its share to the end",
        "Find out why in the logs of the run's folder, or measure with fewer (GENERATORS=).",
    )
    seconds = [generator.seconds for generator in one.generators if not generator.fault]
    apart = max((generator.apart for generator in one.generators), default=0.0)
    skew = max(apart, max(seconds) - min(seconds)) / max(seconds) if seconds else 0.0
    yield one.check(
        "windows",
        skew <= WINDOW_SKEW,
        f"the load generators' windows differ by {skew:.1%} of their length",
        f"at most {WINDOW_SKEW:.0%}",
        "They compete for cores, or their network is slow: take fewer (GENERATORS=), or longer steps (without QUICK).",
    )


def checks_of_others(one: Measured) -> Iterator[Check]:
    """Check whether other processes disturbed the step. It comes before every check that they can make fail."""
    if one.machine is not None:
        yield one.check(
            "machine",
            not one.machine.disturbed,
            one.machine.words,
            f"at most {MOST_USED:.0%} of the cores, and {MOST_TAKEN:g} cores while the lab waits",
            "Stop other programs on this machine (where there is steal, on its host), then run again.",
        )


def checks_of_limits(one: Measured, limits: Limits) -> Iterator[Check]:
    """Check CPU limits, memory limits and the clock."""
    worst = worst_of(one, "throttled")
    for service, throttled, variable in (
        (worst.name, worst.throttled, "LOCUST_CPUS"),
        ("the api", one.inside.api_throttled_seconds, "API_CPUS"),
    ):
        if throttled is None and service == "the api" and CALLS in one.measurement.arm.breaks:
            continue  # there may be none
        share = (throttled or 0.0) / one.seconds if one.seconds else 0.0
        yield one.check(
            "CPU throttling",
            share <= THROTTLED,
            f"{service} was held back {share:.1%} of the time",
            f"at most {THROTTLED:.0%}",
            f"Its CPU limit is too low for this load: raise {variable}=."
            if limits.contained
            else "The machine, or the container that the lab runs in, has a CPU limit that is too low for this load: "
            "raise it, or ask for fewer pages.",
        )
    yield from checks_of_memory(one, limits)
    clock_step = worst_of(one, "clock_step").clock_step
    yield one.check(
        "clock",
        clock_step <= CLOCK_STEP,
        f"the wall clock moved {duration(clock_step)} against the steady one",
        f"at most {duration(CLOCK_STEP)}",
        "The machine was paused or its clock was set during the step: run again.",
    )


def checks_of_memory(one: Measured, limits: Limits) -> Iterator[Check]:
    """Check memory by what the limit counts, or else by what the service's processes take."""
    target, seen = one.measurement.arm.target, one.inside
    for service, counted, taken, variable in (
        (target, seen.memory_limited, seen.memory, "AGGREGATOR_MEMORY=, or its mem_limit in compose/"),
        ("api", seen.api_memory_limited, seen.api_memory, "API_MEMORY="),
        ("locust", worst_of(one, "memory").memory, None, "LOCUST_MEMORY="),
    ):
        allowed = limits.memory.get(service)
        used = counted if allowed and counted is not None else taken
        if used is None:
            continue
        share = used / allowed if allowed else 0.0
        yield one.check(
            "memory",
            share <= MEMORY,
            f"{service} used {size(used)}" + (f", {share:.0%} of its limit" if allowed else ""),
            f"at most {MEMORY:.0%} of its limit",
            f"Close to its limit a service swaps or is killed: raise {variable}.",
        )


def checks_of_failures(one: Measured) -> Iterator[Check]:
    if one.measurement.arm.fails:
        return
    failed = sum(one.failures.values())
    asked = one.pages + failed
    share = failed / asked if asked else 0.0  # of none the sample is too small
    allowed = FAILURES + one.measurement.settings.failing_pages * 1.25
    commonest = f"; most often: {one.failures.most_common(1)[0][0]}" if one.failures else ""
    yield one.check(
        "failed pages",
        share <= allowed,
        f"{failed} of {asked}{commonest}",
        f"at most {allowed:.0%}",
        "Find out why pages fail before asking how fast they are.",
    )


def checks_of_load(one: Measured, limits: Limits) -> Iterator[Check]:
    most = GENERATOR_CPU * min(1.0, limits.generator_cpus or 1.0)  # it computes on one core at a time
    busiest = worst_of(one, "cpu")
    yield one.check(
        "generator CPU",
        busiest.cpu <= most,
        f"{digits(busiest.cpu)} cores" + (f" ({busiest.name})" if len(one.generators) > 1 else ""),
        f"at most {most:g}",
        f"{more_generators(one)}, on a machine with a core to spare for each; or fewer users.",
    )
    yield from checks_of_lateness(one, limits)
    if not one.measurement.arm.fails:
        yield from checks_of_sample(one, limits)


def worst_of(one: Measured, figure: str) -> GeneratorFigures:
    """Return the load generator with the highest figure: each has to hold by itself."""
    return max(one.generators, key=lambda generator: getattr(generator, figure) or 0.0)


def more_generators(one: Measured) -> str:
    """Return the variable that asks for one more; of several one leads, and loads nothing."""
    return f"GENERATORS={max(2, len(one.generators))}"


def more_cpu(one: Measured, limits: Limits, variable: str, throttled: float | None) -> str:
    """Return what helps a service that came too late, as far as it was seen what held it up."""
    if limits.contained and throttled and throttled > THROTTLED * one.seconds:
        return f"raise its CPU limit, which held it back ({variable}=)"
    if one.machine is not None and one.machine.disturbed:
        return f"something else used the machine ({one.machine.words}): stop it, then run again"
    return "ask for fewer pages, or measure on a machine with more cores"


def latest(one: Measured) -> str:
    """Return whose lateness it is, where the api has several workers."""
    number = len(one.inside.api_workers)
    return f" in the latest of its {number} workers" if number > 1 else ""


def more_workers(one: Measured) -> str:
    """Return what helps an api of which a worker computes all the time while the machine has cores to spare."""
    if one.machine is None or one.machine.lab + (one.machine.others or 0.0) > one.machine.cores - 1:
        return ""
    calls = [worker.pages for worker in one.inside.api_workers] or [1.0]
    busiest = (one.inside.api_cpu_seconds or 0.0) / one.seconds * max(calls) / (sum(calls) or 1.0)
    if busiest < GENERATOR_CPU:  # it computes on one core at a time
        return ""
    of = f"the busiest of its workers ({len(calls)})"
    return f"{of} computed on {digits(busiest)} cores: raise API_WORKERS= and API_CPUS="


def checks_of_lateness(one: Measured, limits: Limits) -> Iterator[Check]:
    limit = max(LATENESS_SECONDS, LATENESS_SHARE * one.measurement.settings.latency)
    late = one.inside.api_lateness_p99
    # Where nobody waited for an answer of the api, or nobody is meant to ask it, there is nothing to say.
    if late is not None or not (one.measurement.arm.fails or CALLS in one.measurement.arm.breaks):
        yield one.check(
            "api response time",
            late is not None and late <= limit,
            "the api did not say" if late is None else f"p99 up to {duration(late)} beyond the latency{latest(one)}",
            f"at most {duration(limit)}",
            "The slow api must not be the bottleneck: "
            f"{more_workers(one) or more_cpu(one, limits, 'API_CPUS', one.inside.api_throttled_seconds)}.",
        )
    worst = worst_of(one, "lateness")
    if worst.lateness is not None:
        yield one.check(
            "arrivals",
            worst.lateness <= limit,
            f"p99 sent {duration(worst.lateness)} after they were due",
            f"at most {duration(limit)}",
            f"{worst.name.capitalize()} does not keep its own schedule: lower RATE=, or "
            f"{more_generators(one)}; or {more_cpu(one, limits, 'LOCUST_CPUS', worst.throttled)}.",
        )


def checks_of_sample(one: Measured, limits: Limits) -> Iterator[Check]:
    yield one.check(
        "sample",
        one.pages >= FEWEST_PAGES,
        f"{one.pages} pages",
        f"at least {FEWEST_PAGES}",
        "Too few to say anything: lower LATENCY=, or raise USERS=.",
    )
    median, is_open = percentile(one.response_times, 50) or 0.0, one.measurement.level.is_open
    if not is_open:  # a queue of arrivals grows for as long as they go on
        yield one.check(
            "step length",
            one.seconds >= TURNS * median,
            f"{duration(one.seconds)} for a median response time of {duration(median)}",
            "at least as long",
            "Longer steps are needed: leave QUICK out, or ask for fewer users."
            if limits.quick
            else "The step was made as long as a step may be, and its pages take longer: ask for fewer users.",
        )
        # Where a queue grows, so do the response times.
        drift = uncertainty.drift(one.log)
        yield one.check(
            "steadiness",
            drift is None,
            "response times stayed" if drift is None else f"response times changed by {drift:+.0%} over the window",
            f"no trend beyond {uncertainty.DRIFT:.0%}",
            "The target was still warming up, or something else used the machine: run again.",
        )
    # Pages that share a core end in bursts, one burst per time that a page stays in the target (Little's law).
    # This mean includes an interruption; the median response time does not, but it includes the wait for
    # a slot.
    stay = (one.inside.pages_in_flight or 0.0) / one.goodput if one.goodput else 0.0
    turn = max(one.measurement.turn, min(stay, median))
    stall = uncertainty.stall(one.log, one.seconds, turn, ENOUGH_TO_MISS[is_open])
    yield one.check(
        "interruption",
        stall is None,
        "pages ended all along" if stall is None else f"from {duration(stall)} on hardly a page ended for a while",
        f"at least {uncertainty.STALL:.0%} of as many as elsewhere",
        "The target was stopped, or had to wait for the machine: run again.",
    )
