"""A deployed aggregator, as it describes itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """`slots`: pages it can work on at once; None where CPU and memory decide. `paths` and `pools`
    (connections or threads that its pages share) by strategy. `metrics` and `api_metrics`: the URLs at which the target
    and the api that it calls report what they do; empty where they do not. `unpredicted`: strategies that make their
    calls in a way which no formula knows. `round_trip` and `api_round_trip`: seconds that the network takes between
    the load generator and the target, and the api.
    """

    name: str
    url: str
    interface: str
    slots: int | None
    paths: dict[str, str]
    workers: int
    pools: dict[str, int]
    identity: dict[str, Any]
    metrics: str = ""
    api_metrics: str = ""
    unpredicted: frozenset[str] = frozenset()
    round_trip: float = 0.0
    api_round_trip: float = 0.0
