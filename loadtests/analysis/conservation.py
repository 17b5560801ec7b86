"""Laws that no measurement can break, whatever the target: where one is broken, something is not what it seems. Pure.

Each is broken by a fault that otherwise looks like speed: a cache, an invented page, a page that never ends, a client
or a proxy that asks again. An arm whose pages break one on purpose says which and why (`Arm.breaks`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from loadtests.analysis import answers
from loadtests.analysis.capacity import ONE_AFTER_THE_OTHER
from loadtests.analysis.readings import Balance
from loadtests.analysis.statistics import Measured
from loadtests.analysis.verdict import Check
from loadtests.model.load_level import PAUSE_AFTER_FAILURE
from loadtests.model.measurement import UNANSWERED, Page
from loadtests.model.units import digits, duration

CALLS, MINIMUM, USERS, PAGES = LAWS = ("calls", "physical minimum", "users", "pages")

FALSE_ALARMS = 1e-6  # share of correct measurements that fail the physical minimum of a lognormal latency
STRAY = 0.01  # share by which two counts of the same may differ: a probe of a service's health is a page, too …
STRAY_PAGES = 3  # … or so many pages
EARLY_SHARE, EARLY_SECONDS = 0.01, 0.002  # clocks tick: so much sooner may a page end than it can
MISSING = 0.05  # share of the users' time that may pass in pages that are not whole, beyond those that are meant to be

SILENT = "A sampler is silent: see the service's log, and whether TELEMETRY is on."
FINE = "Nothing to do."


def laws(one: Measured) -> Iterator[Check]:
    """Yield a check for each law that this measurement has to obey, and one for what is under way at its end."""
    broken = one.measurement.arm.breaks
    yield ended(one)
    if one.balance is not None:
        if PAGES not in broken:
            yield pages(one, one.balance)
        if CALLS not in broken:
            yield calls(one, one.balance)
    if MINIMUM not in broken:
        yield from physical_minimum(one)
    if one.log and USERS not in broken and not one.measurement.arm.fails and not one.measurement.level.is_open:
        yield users(one, one.measurement.level.users or 0)


def ended(one: Measured) -> Check:
    """Check that every page had its end: a page without one has no response time, and is missing among the slow."""
    out = [page for page in one.log if page.fault == UNANSWERED]
    longest = max((page.took for page in out), default=0.0)
    return one.check(
        "pages under way",
        not out,
        f"{len(out)} pages had not ended when the step had to" + (f", after up to {duration(longest)}" if out else ""),
        "none",
        "Nobody knows how long they would have taken: ask for less load, or find out what holds them up.",
    )


def pages(one: Measured, balance: Balance) -> Check:
    """Check that users received what the target finished, and that this is what they asked for."""
    asked = balance.received + balance.broken
    stray = STRAY_PAGES + STRAY * asked
    finished, cancelled = balance.finished, balance.cancelled
    made = None if finished is None or cancelled is None else finished + cancelled
    if finished is None or made is None:
        remedy = SILENT
    elif balance.received > finished + stray:
        remedy = "It is not the target that answers, but something before it, as a cache."
    elif made > asked + stray:
        remedy = "Something asks again where a page fails (a client, a proxy), or somebody else uses the lab."
    else:
        remedy = FINE
    return one.check(
        PAGES,
        remedy == FINE,
        f"{asked:,} pages were asked for and {balance.received:,} answers came; the target made {counted(made)}",
        f"within {STRAY:.0%} and {STRAY_PAGES} pages",
        remedy,
    )


def calls(one: Measured, balance: Balance) -> Check:
    """Check that a whole page has made all of its calls, and that no page makes more."""
    fan_out = one.measurement.settings.fan_out
    asked = balance.received + balance.broken
    stray = (STRAY_PAGES + STRAY * asked) * fan_out
    if balance.calls is None:
        remedy = SILENT
    elif balance.calls < balance.whole * fan_out - stray:
        remedy = "Pages are answered without their calls: a cache, or a wrong page?"
    elif balance.calls > asked * fan_out + stray:
        remedy = "Calls are made more than once: a client or a proxy that repeats them, or somebody else uses the api."
    else:
        remedy = FINE
    return one.check(
        CALLS,
        remedy == FINE,
        f"{balance.whole:,} of {asked:,} pages were whole, and the api had {counted(balance.calls)} calls",
        f"{fan_out} a page, within {STRAY:.0%} and {STRAY_PAGES} pages",
        remedy,
    )


def counted(count: float | None) -> str:
    return "nobody knows how many" if count is None else f"{count:,.0f}"


def physical_minimum(one: Measured) -> Iterator[Check]:
    """Check that no page ends before its calls can have been answered."""
    whole = [page.took for page in one.log if page.fault is None]
    if not whole:
        return
    shortest = min(whole)
    settings, serial = one.measurement.settings, one.measurement.arm.strategy in ONE_AFTER_THE_OTHER
    fastest = settings.latency * (settings.fan_out if serial else 1)
    if answers.lognormal(settings):
        fastest = answers.fastest(settings, len(one.log), FALSE_ALARMS)
    yield one.check(
        MINIMUM,
        shortest >= fastest * (1 - EARLY_SHARE) - EARLY_SECONDS,
        f"the fastest page took {duration(shortest)}",
        f"at least {duration(fastest)}, which its calls take",
        "It was there before its calls can have been answered: a cache, or an api that does not wait?",
    )


def users(one: Measured, number: int) -> Check:
    """Check Little's law (1961): users = pages/s × response time, if all of them always wait for a page.

    Taken over the window alone, so that a page counts with the part of its time that is inside it. One that lasts all
    through the window is neither among the pages/s nor among the response times, and is missed like one that fails.
    """
    whole = [inside(page, one.seconds) for page in one.log if page.fault is None and seen(page, one.seconds)]
    other = [page for page in one.log if page.fault is not None or not seen(page, one.seconds)]
    busy = sum(whole)
    if one.measurement.settings.fail:  # as the api was asked to
        busy += sum(inside(page, one.seconds) for page in other) + PAUSE_AFTER_FAILURE * len(other)
    think, ended = one.measurement.level.think, sum(0 <= page.ended < one.seconds for page in one.log)
    busy += think * ended
    share = busy / one.seconds if one.seconds else 0.0
    chance = 3 * think * math.sqrt(ended) / one.seconds if one.seconds else 0.0  # of exponential times, 3 deviations
    longest = max((page.took for page in other), default=0.0)
    missing = f"; {len(other)} pages were not, the slowest after {duration(longest)}" if other else ""
    return one.check(
        USERS,
        share >= number * (1 - MISSING) - chance,
        f"{digits(share)} of {number} users had pages that were whole and seen to begin or end{missing}",
        f"at least {1 - MISSING:.0%}",
        "The others waited for pages that failed or hung: find out why before asking how fast the rest is."
        if one.failures or any(page.fault for page in other)
        else overloaded(one),
    )


def overloaded(one: Measured) -> str:
    """Return what users waited for whose pages came whole, but took longer than the window, and what helps."""
    waited = f"No page failed: the others waited all through the window for {one.measurement.arm.server}"
    if one.machine is not None and one.machine.disturbed:
        return f"{waited}, and something else used the machine: {one.machine.words}. Stop it, then run again."
    computed = ""
    if one.machine is not None and one.inside.cpu_seconds is not None and one.seconds:
        computed = (
            f", which computed on {digits(one.inside.cpu_seconds / one.seconds)} of {one.machine.cores} cores, and the "
            f"lab on {digits(one.machine.lab)} in all"
        )
    queued = f"; {digits(one.inside.requests_queued)} requests waited to be read" if one.inside.requests_queued else ""
    return f"{waited}{computed}{queued}. Ask for fewer users, or give it more cores, and a worker for each."


def seen(page: Page, window: float) -> bool:
    return page.began >= 0 or page.ended < window


def inside(page: Page, window: float) -> float:
    """Return the seconds of a page's time that are inside the window."""
    return max(0.0, min(page.ended, window) - max(0.0, page.began))
