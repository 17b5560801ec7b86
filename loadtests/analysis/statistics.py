"""Measurements → the figures of a step. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from hdrh.histogram import HdrHistogram

from loadtests.analysis import uncertainty
from loadtests.analysis.histograms import histogram, merged
from loadtests.analysis.machine import Machine
from loadtests.analysis.readings import Balance
from loadtests.analysis.server_metrics import together
from loadtests.analysis.uncertainty import Draws, Interval
from loadtests.analysis.verdict import Check
from loadtests.model.experiment import Arm
from loadtests.model.load_level import LoadLevel
from loadtests.model.measurement import GeneratorFigures, Measurement, Page
from loadtests.model.server_metrics import Inside
from loadtests.model.settings import Settings

ENOUGH = {"p95": 100, "p99": 1000}  # pages
PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


@dataclass(frozen=True)
class Measured:
    """One measurement done. `seconds` is the window's true length.

    `log`: the pages that began or ended in the window. `pages`: the whole ones that began in it (arrived in it, in an
    open loop), whose response times count. `ended`: whole pages that ended in the window.
    `balance`: what was counted from the step's first page to its last. `generators`: how the load generators fared.
    `machine`: None where nobody looked.
    """

    measurement: Measurement
    seconds: float
    pages: int
    failures: Counter[str]
    response_times: HdrHistogram
    first_bytes: HdrHistogram | None = None
    failure_times: HdrHistogram | None = None
    ended: int = 0
    generators: Sequence[GeneratorFigures] = (GeneratorFigures(0.0),)
    machine: Machine | None = None
    inside: Inside = field(default_factory=Inside)
    log: Sequence[Page] = ()
    balance: Balance | None = None

    @property
    def goodput(self) -> float:
        """Return whole pages per second."""
        return self.ended / self.seconds if self.seconds else 0.0

    @property
    def generator_cpu(self) -> float:
        """Return the cores that the load generators took together."""
        return sum(generator.cpu for generator in self.generators)

    def check(self, name: str, passed: bool, value: str, limit: str, remedy: str) -> Check:  # noqa: FBT001
        """Return a check of this measurement."""
        return Check(name, self.measurement.name, passed, value, limit, remedy, self.measurement.words)


@dataclass(frozen=True)
class PageFigures:
    """One page of a project that has several, by its name: whole and failed ones, and percentiles in seconds."""

    name: str
    pages: int
    failures: int
    response_time: Mapping[str, float | None]


@dataclass(frozen=True)
class LevelFigures:
    """One arm at one step, over all its repeats: the median goodput and the merged histogram."""

    arm: Arm
    level: LoadLevel
    goodputs: Sequence[float]
    times: Mapping[str, Sequence[float]]  # seconds: percentiles of each repeat, by name; those that can be said
    intervals: Mapping[str, Interval | None]  # 95 %, of goodput (pages/s) and of percentiles (seconds)
    drawn: Draws | None  # of one repeat
    pages: int
    ended: int
    failures: Counter[str]
    seconds: float
    response_times: HdrHistogram
    first_bytes: HdrHistogram
    failure_times: HdrHistogram
    inside: Inside
    settings: Settings
    generator_cpu: float = 0.0  # CPU seconds of the load generator, over all repeats
    machine: Machine | None = None  # of the repeat that was disturbed most
    by_page: Sequence[PageFigures] = ()

    @property
    def goodput(self) -> float:
        return median(self.goodputs)

    @property
    def spread(self) -> float:
        """Return the range of the repeats' goodput as a share of the median."""
        return (max(self.goodputs) - min(self.goodputs)) / self.goodput if self.goodput else 0.0

    @property
    def cpu_per_page(self) -> float | None:
        """Return the CPU seconds of the target's processes per page."""
        if self.inside.cpu_seconds is None or not self.ended:
            return None
        return self.inside.cpu_seconds / self.ended

    @property
    def cpu_beside(self) -> float | None:
        """Return the CPU seconds that the api and the load generator took per page."""
        if self.inside.api_cpu_seconds is None or not self.ended:
            return None
        return (self.inside.api_cpu_seconds + self.generator_cpu) / self.ended

    @property
    def response_time(self) -> dict[str, float | None]:
        """Return percentiles in seconds; None if too few pages were whole to tell."""
        return percentiles(self.response_times)

    @property
    def first_byte(self) -> dict[str, float | None]:
        """Return percentiles of the time to the first byte in seconds; None if nothing was streamed."""
        return all_percentiles(self.first_bytes)

    @property
    def failure_time(self) -> dict[str, float | None]:
        """Return percentiles of the time to an answer that was not a whole page, in seconds; None without one."""
        return all_percentiles(self.failure_times)


def percentiles(histogram: HdrHistogram) -> dict[str, float | None]:
    """Return percentiles in seconds; None if there are too few values: p95 takes 100, p99 takes 1,000."""
    number = histogram.get_total_count()
    return {
        name: value if number >= ENOUGH.get(name, 1) else None for name, value in all_percentiles(histogram).items()
    }


def all_percentiles(histogram: HdrHistogram) -> dict[str, float | None]:
    """Return percentiles in seconds, from one walk through the histogram, which has 20,000 places; None without one."""
    if not histogram.get_total_count():
        return dict.fromkeys(PERCENTILES)
    found = histogram.get_percentile_to_value_dict(list(PERCENTILES.values()))
    values = {name: found[share] / 1e6 for name, share in PERCENTILES.items()}
    return {**values, "max": histogram.get_max_value() / 1e6}


def percentile(histogram: HdrHistogram, share: float) -> float | None:
    if not histogram.get_total_count():
        return None
    return float(histogram.get_value_at_percentile(share)) / 1e6


def steps(measured: Iterable[Measured], arm: Arm) -> list[LevelFigures]:
    """Return the arm's figures at each load level, in ascending order."""
    by_step: dict[LoadLevel, list[Measured]] = {}
    for one in measured:
        if one.measurement.arm == arm:
            by_step.setdefault(one.measurement.level, []).append(one)
    return [figures(arm, step, by_step[step]) for step in sorted(by_step)]


def figures(arm: Arm, step: LoadLevel, group: Sequence[Measured]) -> LevelFigures:
    goodputs = [one.goodput for one in group]
    each = [percentiles(one.response_times) for one in group]
    times = {name: [value for one in each if (value := one[name]) is not None] for name in PERCENTILES}
    drawn = uncertainty.draws(group[0].log, group[0].seconds, group[0].measurement.turn) if len(group) == 1 else None
    return LevelFigures(
        arm=arm,
        level=step,
        goodputs=goodputs,
        times=times,
        intervals=intervals(goodputs, times, drawn),
        drawn=drawn,
        pages=sum(one.pages for one in group),
        ended=sum(one.ended for one in group),
        failures=sum((one.failures for one in group), Counter()),
        seconds=sum(one.seconds for one in group),
        response_times=merged(one.response_times for one in group),
        first_bytes=merged(one.first_bytes for one in group if one.first_bytes is not None),
        failure_times=merged(one.failure_times for one in group if one.failure_times is not None),
        inside=together([one.inside for one in group]),
        settings=group[0].measurement.settings,
        generator_cpu=sum(one.generator_cpu * one.seconds for one in group),
        machine=max(
            (one.machine for one in group if one.machine is not None),
            key=lambda machine: (machine.disturbed, machine.taken),
            default=None,
        ),
        by_page=by_page([page for one in group for page in one.log if 0 <= page.began < one.seconds]),
    )


def by_page(log: Sequence[Page]) -> list[PageFigures]:
    """Return the figures of each page that has a name, in the order of the names."""
    found = []
    for name in sorted({page.name for page in log} - {""}):
        times = histogram(page.took for page in log if page.name == name and page.fault is None)
        failures = sum(page.name == name and page.fault is not None for page in log)
        found.append(PageFigures(name, times.get_total_count(), failures, percentiles(times)))
    return found


def intervals(
    goodputs: Sequence[float], times: Mapping[str, Sequence[float]], drawn: Draws | None
) -> dict[str, Interval | None]:
    """Return the 95 % intervals of goodput (pages/s), p50 and p95 (seconds): of repeats, or drawn from one."""
    if drawn is None:
        found = {name: uncertainty.of_repeats(times[name]) for name in ("p50", "p95")}
        return {"goodput": uncertainty.of_repeats(goodputs), **found}
    return {
        "goodput": uncertainty.of_draws(drawn.goodput),
        "p50": uncertainty.of_draws(drawn.p50),
        "p95": uncertainty.of_draws(drawn.p95) if times["p95"] else None,
    }
