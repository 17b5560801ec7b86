"""A value for each knob: the size of a page, and how the api behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from loadtests.errors import BadInput
from loadtests.model.knobs import KNOBS, NUMBERS


@dataclass(frozen=True, slots=True)
class Settings:
    """A value for each knob: one page's size and the api's behaviour. Seconds and shares."""

    fan_out: int
    latency: float
    jitter: float
    fail: float
    work: float = 0.0
    latency_p99: float = 0.0
    correlated: int = 0

    def __post_init__(self) -> None:
        """Raise BadInput where two values do not go together; the api refuses the same."""
        if self.latency_p99 and self.jitter:
            raise BadInput("JITTER and LATENCY_P99 both make calls differ: set one of them to 0")
        if self.correlated and not self.latency_p99 and not self.jitter:
            raise BadInput("CORRELATED=1 has no effect on a constant latency: set LATENCY_P99 or JITTER, too")
        if self.latency_p99 and not 0 < self.latency <= self.latency_p99:
            they_are = f"they are {self.latency_p99:g} and {self.latency:g}"
            raise BadInput(f"LATENCY_P99 must be 0 or at least LATENCY, the median, which must be above 0; {they_are}")

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Settings:
        """Return the settings that texts by knob name describe. Raises BadInput for a bad value or a missing one."""
        values: dict[str, Any] = {}
        for knob in KNOBS:
            if not texts.get(knob.name):
                raise BadInput(f"{knob.variable} is not set; compose.yaml holds its default")
            values[knob.name] = knob.parse(texts[knob.name])
        return cls(**values)

    def turned(self, changes: Mapping[str, float]) -> Settings:
        """Return the settings with some knobs at other values. Raises BadInput."""
        values: dict[str, Any] = {name: NUMBERS[name.upper()].parse(f"{value}") for name, value in changes.items()}
        return replace(self, **values)

    @property
    def words(self) -> str:
        """Return what a page has to wait for, as text."""
        slowest = f" (p99 {self.latency_p99:g} s)" if self.latency_p99 else ""
        together = ", slow together," if self.correlated else ""
        return f"{self.fan_out} call{'' if self.fan_out == 1 else 's'} × {self.latency:g} s{slowest}{together} a page"

    @property
    def query(self) -> str:
        return "&".join(f"{name}={value}" for name, value in asdict(self).items())

    @property
    def failing_pages(self) -> float:
        """Return the share of pages that fail because one of their calls is meant to."""
        return 1 - (1 - self.fail) ** self.fan_out
