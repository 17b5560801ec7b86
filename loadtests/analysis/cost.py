"""What an arm costs, and what it would take to match another. Pure. CPU seconds, bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.analysis import queues
from loadtests.analysis.readings import difference
from loadtests.analysis.statistics import LevelFigures
from loadtests.model.measurement import ENOUGH_PAGES
from loadtests.model.prediction import Deployment
from loadtests.model.units import digits, duration, size


@dataclass(frozen=True, slots=True)
class Cost:
    """`memory_per_page_in_flight`: what each further page in flight took; None where nothing can be said, as where its
    threads had been there before.
    """

    cpu_per_page: float | None
    memory: float | None
    memory_per_page_in_flight: float | None


def calibrated(steps: Sequence[LevelFigures], at: LevelFigures) -> LevelFigures | None:
    """Return the step that tells what CPU a page takes at this load: itself, or the nearest with pages enough to tell.

    A busy server takes about half the CPU a page of an idle one, so what is measured at another load misleads.
    """
    known = [step for step in steps if step.ended >= ENOUGH_PAGES and step.cpu_per_page]
    return min(known, key=lambda step: abs(math.log(step.goodput / at.goodput)) if at.goodput else 0.0, default=None)


def cost(steps: Sequence[LevelFigures]) -> Cost:
    """Return what the arm costs at its highest step."""
    if not steps:
        return Cost(None, None, None)
    first, last = steps[0].inside, steps[-1].inside
    memory = difference(first.memory, last.memory)
    pages = difference(first.pages_in_flight, last.pages_in_flight) or 0.0
    threads = (last.threads or 0) - (first.threads or 0)
    known = memory is not None and pages > 0 and (threads >= pages or steps[0].arm.strategy != "threadpool")
    return Cost(steps[-1].cpu_per_page, last.memory, max(0.0, (memory or 0.0) / pages) if known else None)


def measured_match(matching: LevelFigures, slots: int, free: LevelFigures) -> str:
    """Return the sentence that a team needs, if an arm with slots enough was measured. Bytes."""
    sentence = (
        f"{matching.arm.server} with {slots} slots served {digits(matching.goodput)} pages/s where {free.arm.server} "
        f"served {digits(free.goodput)}"
    )
    if matching.inside.memory is not None and free.inside.memory is not None:
        sentence += f", with {size(matching.inside.memory)} of memory against {size(free.inside.memory)}"
    return f"{sentence} (measured)."


def match(
    slotted: LevelFigures, slotted_cost: Cost, deployment: Deployment, free: LevelFigures, page_time: float
) -> str | None:
    """Return the sentence that a team needs: what would make the arm with slots serve what the other one does.

    None when there is nothing to catch up with. The sentence adds head-room, because pages arrive at random. It
    says nothing of CPU: a busy server uses about half as much per page as an idle one, so low steps do not show where
    CPU ends.
    """
    slots = deployment.slots
    busy = free.goodput * page_time  # on average, while the arm with slots serves as much (Little)
    if slots is None or busy <= slots or free.goodput <= slotted.goodput * 1.05:
        return None
    target, other, needed = slotted.arm.server, free.arm.server, queues.slots_for(busy)
    sentence = (
        f"To serve {digits(free.goodput)} pages/s like {other}, {target} would need {needed} threads instead of "
        f"{slots} (predicted, not measured): {math.ceil(busy)} are busy on average, and with {needed} of them "
        f"{queues.FREE_AT_ONCE:.0%} of pages that arrive at random start at once (Erlang C)."
    )
    if slotted_cost.memory is not None and slotted_cost.memory_per_page_in_flight is not None:
        memory = slotted_cost.memory + (needed - slots) * slotted_cost.memory_per_page_in_flight
        took = "" if free.inside.memory is None else f"; {other} took {size(free.inside.memory)}"
        sentence += f" They take about {size(memory)} of memory{took}."
    return sentence


def flip(slotted: str, slots: int, cores: float, cpu: float, wait: float) -> str | None:
    """Return when slots would decide no longer: few pages at once, or short waits; None where they do not decide now.

    `cpu` and `wait`: seconds of a page. Its slots serve slots / (wait + cpu) pages/s and its cores cores / cpu, so that
    slots are the limit where the wait is longer than (slots / cores - 1) × cpu.
    """
    shortest = (slots / cores - 1) * cpu
    if not 0 < shortest < wait:
        return None
    return (
        f"It would flip: with at most {slots} pages at once both serve the same. And where a page waits less than "
        f"{duration(shortest)}, CPU limits {slotted} and not its slots: there only less CPU a page helps."
    )
