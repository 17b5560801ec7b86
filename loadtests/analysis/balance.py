"""What the users, the target and the api counted of one step: three counts of the same pages and calls. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.analysis.readings import Reading, grown
from loadtests.model.measurement import NO_ANSWER

Readings = tuple[Reading | None, Reading | None]  # of the target and of the api


@dataclass(frozen=True, slots=True)
class Balance:
    """Counts from a step's first page until nothing of it was in flight any more, with the warm-up and what came after
    the window. So nothing is on its way at an edge. None where a service did not say it.

    `whole`: whole pages; `received`: answers, whole pages or not, that came to their end; `broken`: pages without one;
    `cut_off`: those of them that the load generator left itself, at the step's end. `finished` and `cancelled`: the
    target's own count. `calls`: those that ended at the api, in whichever way.
    """

    whole: int
    received: int
    broken: int
    cut_off: int
    finished: float | None
    cancelled: float | None
    calls: float | None


def balance(faults: Sequence[str | None], cut_off: int, before: Readings, after: Readings) -> Balance:
    """Return the counts; `faults`: of each page that was asked for, None where it was whole."""
    broken = sum(fault is not None and fault.startswith(NO_ANSWER) for fault in faults)
    (target, api), (target_after, api_after) = before, after
    return Balance(
        whole=sum(fault is None for fault in faults),
        received=len(faults) - broken,
        broken=broken,
        cut_off=cut_off,
        finished=grown(target, target_after, "lab_pages_finished_total"),
        cancelled=grown(target, target_after, "lab_pages_cancelled_total"),
        calls=grown(api, api_after, "lab_calls_total"),
    )
