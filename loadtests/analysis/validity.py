"""Is the measurement worth a verdict? Pure. A failed check says the value, the limit and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from loadtests.analysis.statistics import Measured, percentile
from loadtests.knobs import Settings

GENERATOR_CPU = 0.8  # cores: beyond it the generator measures itself
LATENESS_SHARE, LATENESS_SECONDS = 0.05, 0.020  # of the latency, or at least so much
FAILURES = 0.01  # share of pages beyond those that are meant to fail
TURNS = 3.0  # times the median response time that a window has to last
UNSTEADY = 0.25  # by this share the window's halves may differ …
UNSTEADY_PAGES = 10  # … and by so many pages: a burst may end on either side of the middle


@dataclass(frozen=True, slots=True)
class Check:
    """`measurement` is its name; `value` and `limit` are sentences' parts with their unit."""

    name: str
    measurement: str
    passed: bool
    value: str
    limit: str
    remedy: str

    @property
    def sentence(self) -> str:
        return f"{self.name} in {self.measurement}: {self.value} ({self.limit}). {self.remedy}"


def checks(measured: Iterable[Measured], settings: Settings) -> list[Check]:
    return [check for one in measured for check in checks_of(one, settings)]


def checks_of(one: Measured, settings: Settings) -> Iterator[Check]:
    where = one.measurement.name
    failed = sum(one.failures.values())
    asked = one.pages + failed
    share = failed / asked if asked else 1.0
    allowed = FAILURES + settings.failing_pages * 1.25
    commonest = f"; most often: {one.failures.most_common(1)[0][0]}" if one.failures else ""
    yield Check(
        "failed pages",
        where,
        bool(one.pages) and share <= allowed,
        f"{failed} of {asked}{commonest}",
        f"at most {allowed:.0%}",
        "Find out why pages fail before asking how fast they are.",
    )
    yield Check(
        "generator CPU",
        where,
        one.generator_cpu <= GENERATOR_CPU,
        f"{one.generator_cpu:.2f} cores",
        f"at most {GENERATOR_CPU}",
        "Fewer users, or a machine with more cores to spare.",
    )
    limit = max(LATENESS_SECONDS, LATENESS_SHARE * settings.latency)
    late = one.lateness_p99
    yield Check(
        "api response time",
        where,
        late is not None and late <= limit,
        "the api did not say" if late is None else f"p99 up to {late * 1000:.0f} ms beyond the latency",
        f"at most {limit * 1000:.0f} ms",
        "The slow api must not be the bottleneck: give it more CPU (API_CPUS=), or ask for fewer pages.",
    )
    if not one.pages:
        return
    median = percentile(one.response_times, 50) or 0.0
    yield Check(
        "step length",
        where,
        one.seconds >= TURNS * median,
        f"{one.seconds:.1f} s for a median response time of {median:.2f} s",
        f"at least {TURNS:g} times as long",
        "Longer steps are needed: leave QUICK out, or ask for fewer users.",
    )
    yield Check(
        "steadiness",
        where,
        abs(one.early - one.late) <= UNSTEADY * one.pages / 2 + UNSTEADY_PAGES,
        f"{one.early} pages in the first half of the window, {one.late} in the second",
        f"within {UNSTEADY:.0%} and {UNSTEADY_PAGES} pages",
        "Something else used the machine, or the target was still warming up: run again.",
    )
