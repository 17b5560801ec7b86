"""What limits a deployment, and what theory predicts for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Deployment:
    """What limits a target: `slots` pages (None: no such limit), `cores`, `workers`, and its `pools` by strategy.

    A pool is what the pages of all workers share: connections or threads. `machine`: cores that the target shares with
    the api and the load generator. `call_timeout` and `pool_timeout`: seconds that a call waits for its answer, and for
    a pooled connection, before it fails. `hang`: the share of calls that the api never answers. `round_trip` and
    `api_round_trip`: seconds that the network takes from a user to the target and back, and from the target to the api.
    """

    slots: int | None
    cores: float = math.inf
    workers: int = 1
    pools: Mapping[str, int] = field(default_factory=dict)
    machine: float = math.inf
    call_timeout: float = math.inf
    pool_timeout: float = math.inf
    hang: float = 0.0
    round_trip: float = 0.0
    api_round_trip: float = 0.0

    def with_client(self, strategy: str, pool: int | None, timeout: float | None) -> Deployment:
        """Return the deployment for pages whose client has a pool, in each worker, and a timeout of its own; None: it
        has not.
        """
        own = self if pool is None else replace(self, pools={**self.pools, strategy: pool * self.workers})
        return own if timeout is None else replace(own, call_timeout=timeout, pool_timeout=timeout)


@dataclass(frozen=True, slots=True)
class Prediction:
    """`goodput` in pages/s; `page_time` of a page that nothing holds up and `response_time`, in seconds.

    `bottleneck`: 'users' or 'arrivals' (nothing limits the target), 'slots', 'cpu', 'pool', 'blocking' (one page at a
    time has the event loop) or 'failures' (no page is whole). In flight by Little's law: pages that are worked on, and
    their calls at the api. `ended`: pages/s, whole or failed. `failing`: the share of pages that fail, after
    `failure_time` seconds; None where some do and the formula does not know how many: then goodput is an upper bound.
    `reason`: why they fail.
    """

    goodput: float
    page_time: float
    response_time: float
    bottleneck: str
    pages_in_flight: float
    calls_in_flight: float
    ended: float
    failing: float | None = 0.0
    failure_time: float | None = None
    reason: str = ""


SUMMARIZED = (
    *("goodput", "response_time", "bottleneck", "pages_in_flight", "calls_in_flight"),
    *("failing", "failure_time", "reason"),
)


def predicted_of(predicted: Prediction | None) -> dict[str, Any]:
    """Return the prediction as a step of summary.json has it: what is infinite or unknown is null."""
    values = {name: getattr(predicted, name, None) for name in SUMMARIZED}
    return {name: None if value == math.inf else value for name, value in values.items()}
