"""Decide whether other processes disturbed a step. Pure. Cores, unless a figure says seconds.

A process is starved when it is ready to run and has no core. If the lab's own processes compete, that is part of the
result. If other processes have the cores, the measurement is invalid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.analysis.readings import difference

MOST_TAKEN = 0.25  # cores that other processes may use while the lab waits for a core
MOST_USED = 0.2  # share of all cores that they may use at any time: cores share caches and hyperthreads


@dataclass(frozen=True, slots=True)
class Moment:
    """The machine's counters at one moment, in seconds; None where the machine does not report one.

    `busy`: CPU time of all processes, without interrupts. `steal`: CPU time that the hypervisor gave to other guests.
    `pressure`: time in which at least one thread waited for a core. `generator`: CPU time of the load generator, and
    `generator_waited`: how long its threads waited for a core. `load_average` is that of the last minute.
    """

    busy: float
    steal: float
    pressure: float | None
    generator: float
    generator_waited: float | None
    cores: int
    load_average: float | None


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine during one step.

    `lab`: cores used by target, api and load generator. `others`: cores used by all other processes; None if unknown.
    `waited`: average number of the lab's threads that waited for a core; None if unknown. `pressure` is a share of the
    time; `load_average` is that of the last minute of the step.
    """

    cores: int
    lab: float
    others: float | None
    waited: float | None
    steal: float
    pressure: float | None
    load_average: float | None

    @property
    def taken(self) -> float:
        """Return the cores that other processes used while the lab waited, and that the hypervisor took."""
        used = self.others or 0.0
        return (used if self.waited is None else min(used, self.waited)) + self.steal

    @property
    def disturbed(self) -> bool:
        return self.taken > MOST_TAKEN or (self.others or 0.0) > MOST_USED * self.cores

    @property
    def words(self) -> str:
        """Return the figures as part of a sentence."""
        load = "" if self.load_average is None else f", load average {self.load_average:.1f}"
        others = "" if self.others is None else f"other processes used {self.others:.2f} of {self.cores} cores, "
        return f"{others}{self.taken:.2f} while the lab waited for a core{load}, steal {self.steal / self.cores:.0%}"


def between(
    before: Moment,
    after: Moment,
    seconds: float,
    services_cpu: Sequence[float | None],
    services_waited: Sequence[float | None],
) -> Machine:
    """Return the machine between two moments; `services_cpu` and `services_waited` are the services' own, in seconds.

    If a service does not report, its CPU time counts as that of other processes, and waiting is unknown.
    """
    lab = sum(used or 0.0 for used in services_cpu) + after.generator - before.generator
    waits = [*services_waited, difference(before.generator_waited, after.generator_waited)]
    waited = [one for one in waits if one is not None]
    pressure = difference(before.pressure, after.pressure)
    return Machine(
        cores=after.cores,
        lab=lab / seconds,
        others=max(0.0, after.busy - before.busy - lab) / seconds,
        waited=sum(waited) / seconds if len(waited) == len(waits) else None,
        steal=(after.steal - before.steal) / seconds,
        pressure=None if pressure is None else pressure / seconds,
        load_average=after.load_average,
    )
