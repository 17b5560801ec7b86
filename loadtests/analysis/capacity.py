"""What theory predicts for a page that waits. Pure.

With latency L, jitter J, fan-out F, S slots, N users without think time or A arrivals per second, CPU per page c on k
cores and a pool of P connections or threads that make calls; seconds and pages/s:

    R  = L + J·F/(F+1) + c           side by side;  F·(L + J/2) + c  one call after the other
    X  = min(N/R, S/R, k/c, P/(F·L)) Little's law; the smallest term is the bottleneck; A in the place of N/R when open
    response time = N/X              beyond the knee (closed loop), R before it
                  = R + (A/X − 1)·t  open loop, t seconds after the load began: it has no end
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from loadtests.knobs import Settings
from loadtests.step import Step

OF_QUERIES = ("orm_sync", "orm_to_async", "orm_async", "orm_gather")
ONE_AFTER_THE_OTHER = {"sequential", *OF_QUERIES}


@dataclass(frozen=True, slots=True)
class Deployment:
    """What limits a target: `slots` pages (None: no such limit), `cores`, `workers`, and its `pools` by strategy.

    A pool is what the pages of all workers share: connections or threads.
    """

    slots: int | None
    cores: float = math.inf
    workers: int = 1
    pools: Mapping[str, int] = field(default_factory=dict)

    def with_pool(self, strategy: str, size: int | None) -> Deployment:
        """Itself where there is no such pool."""
        return self if size is None else replace(self, pools={**self.pools, strategy: size})


@dataclass(frozen=True, slots=True)
class Prediction:
    """`goodput` in pages/s; `page_time` of a page that nothing holds up and `response_time`, in seconds.

    `bottleneck`: 'users' or 'arrivals' (nothing limits the target), 'slots', 'cpu', 'pool' or 'blocking' (one page at
    a time has the event loop). In flight by Little's law: pages that are worked on, and their calls at the api.
    """

    goodput: float
    page_time: float
    response_time: float
    bottleneck: str
    pages_in_flight: float
    calls_in_flight: float


def page_time(settings: Settings, strategy: str) -> float:
    """Seconds that an unhurried page waits for its calls.

    Jitter is uniform on [0, J]: its mean is J/2, the mean of the largest of F draws is J·F/(F+1).
    """
    if strategy in ONE_AFTER_THE_OTHER:
        return settings.fan_out * (settings.latency + settings.jitter / 2)
    return settings.latency + settings.jitter * settings.fan_out / (settings.fan_out + 1)


def predict(  # noqa: PLR0913  # the formula has that many terms
    settings: Settings,
    strategy: str,
    deployment: Deployment,
    step: Step,
    cpu_per_page: float = 0.0,
    *,
    holds: float = 0.0,
    after: float = math.inf,
) -> Prediction:
    """`cpu_per_page` in CPU seconds; 0 leaves CPU out, but for what the page computes on purpose.

    `holds`: seconds for which a page blocks its thread, which without slots is everybody's event loop. `after`: seconds
    since the first arrival, in an open loop.
    """
    cpu_per_page = max(cpu_per_page, settings.work)
    unhurried = page_time(settings, strategy) + cpu_per_page + holds
    pool = deployment.pools.get(strategy)
    busy = settings.fan_out * (settings.latency + settings.jitter / 2)  # seconds of one connection, for a page
    offered = step.amount if step.is_open else per_second(step.amount, unhurried)
    limits = {
        "arrivals" if step.is_open else "users": offered,
        "slots": math.inf if deployment.slots is None else per_second(deployment.slots, unhurried),
        "blocking": per_second(deployment.workers, holds) if deployment.slots is None else math.inf,
        "cpu": per_second(deployment.cores, cpu_per_page),
        "pool": math.inf if pool is None else per_second(pool, busy),
    }
    bottleneck = min(limits, key=lambda name: limits[name])  # of equals the first
    goodput = limits[bottleneck]
    if step.is_open:
        backlog = (offered - goodput) * after if offered > goodput else 0.0
        response_time = unhurried + backlog / goodput
        asked_for = goodput * unhurried + backlog
    else:
        response_time = max(unhurried, step.amount / goodput)
        asked_for = step.amount
    # A page out of slots waits outside; one that waits for CPU or for a pooled connection does so inside.
    inside = asked_for if deployment.slots is None else min(asked_for, deployment.slots)
    calls = goodput * busy if math.isfinite(goodput) else 0.0
    return Prediction(goodput, unhurried, response_time, bottleneck, pages_in_flight=inside, calls_in_flight=calls)


def per_second(amount: float, seconds: float) -> float:
    return amount / seconds if seconds else math.inf
