"""What a service says of itself, as Prometheus text.

A witness has to be cheap: what is counted here costs a few microseconds a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST

exposition = generate_latest


class InFlight:
    """Work that has begun and not ended: how much now, and the most there has been."""

    def __init__(self, name: str, documentation: str) -> None:
        self._now = Gauge(f"{name}_in_flight", f"{documentation} in flight")
        self._peak = Gauge(f"{name}_in_flight_peak", f"most {documentation} in flight since the start")
        self.now = 0
        self.peak = 0
        self._lock = Lock()  # sync pages and calls count from many threads

    @contextmanager
    def one(self) -> Iterator[None]:
        self._change(+1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        with self._lock:
            self.now += by
            self._now.set(self.now)
            if self.now > self.peak:
                self.peak = self.now
                self._peak.set(self.peak)
