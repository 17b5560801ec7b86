"""What the machine did during a step, besides what it was asked to. Pure. Cores, unless they are seconds.

A process that wants a core and does not get it is starved. That is nobody's fault where the lab's own processes want
more cores than there are: then it is what is measured. It is a fault of the measurement where somebody else had them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.analysis.readings import difference

MOST_TAKEN = 0.25  # cores that others may have while the lab waits for one
MOST_USED = 0.2  # share of all cores that others may use: two of them may be one in truth, and share its caches


@dataclass(frozen=True, slots=True)
class Moment:
    """Counters of one moment, in seconds, summed over the cores; None where the machine does not say.

    `busy`: computing, of anybody, without interrupts, which belong to nobody. `steal`: what the hypervisor gave to
    others. `pressure`: at least one thread waited for a core. `generator`: CPU of the load generator, and
    `generator_waited` what its threads waited for a core. `load_average` over a minute; `cores`: that there are.
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
    """Of one step. `lab`: what target, api and load generator used; `others`: what all else did, None where that is not
    known; `waited`: how many of the lab's threads waited for a core on average, None where nobody says it. `steal`, and
    `pressure` as a share of the time. `load_average` over a minute, at the end.
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
        """Cores that the lab wanted and somebody else had: as much as others used, and no more than it waited for."""
        used = self.others or 0.0
        return (used if self.waited is None else min(used, self.waited)) + self.steal

    @property
    def disturbed(self) -> bool:
        return self.taken > MOST_TAKEN or (self.others or 0.0) > MOST_USED * self.cores

    @property
    def words(self) -> str:
        """As a sentence says it."""
        load = "" if self.load_average is None else f", a load average of {self.load_average:.1f}"
        steal = f", steal {self.steal / self.cores:.0%}" if self.cores else ""
        used = "" if self.others is None else f"others used {self.others:.2f} of {self.cores:g} cores, "
        return f"{used}{self.taken:.2f} that the lab waited for{load}{steal}"


def between(
    before: Moment,
    after: Moment,
    seconds: float,
    services_cpu: Sequence[float | None],
    services_waited: Sequence[float | None],
) -> Machine:
    """Return what happened from one moment to the other; `services_…`: of the target and the api, in seconds.

    Of a service that says nothing nothing is known: its CPU counts as others', and all that others used as taken.
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
