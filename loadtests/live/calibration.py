"""What a page costs, for the prediction: measured once after each change, as soon as there are pages enough. Pure."""

from __future__ import annotations

import math
from collections import Counter

from loadtests.model.measurement import ENOUGH_PAGES
from loadtests.model.settings import Settings

SECONDS_SKIPPED = 2  # after a change: users come


class Calibration:
    def __init__(self) -> None:
        self._known: dict[tuple[str, str, Settings], float] = {}
        self._latest: dict[str, tuple[Settings, float]] = {}
        self.begin()

    def begin(self, draining: float = 0.0) -> None:
        """Begin anew after a change; for so many seconds pages of before still end."""
        self._skipped = max(SECONDS_SKIPPED, math.ceil(draining))
        self._pages: Counter[str] = Counter()
        self._cpu: dict[str, float] = {}
        self._seen: Counter[str] = Counter()

    def add(self, target: str, pages: int, cpu_seconds: float | None) -> None:
        self._seen[target] += 1
        if self._seen[target] > self._skipped and cpu_seconds is not None:
            self._pages[target] += pages
            self._cpu[target] = self._cpu.get(target, 0.0) + cpu_seconds

    def cpu_per_page(self, target: str, strategy: str, settings: Settings) -> float:
        """Return CPU seconds per page; until they are measured, what the target's earlier pages make expect."""
        key = (target, strategy, settings)
        if key not in self._known and self._pages[target] >= ENOUGH_PAGES:
            if len(self._known) > 100:  # somebody turns a knob all day
                self._known.clear()
            self._known[key] = self._cpu[target] / self._pages[target]
        if key in self._known:
            self._latest[target] = settings, self._known[key]
            return self._known[key]
        before, cpu = self._latest.get(target, (settings, settings.work))
        return max(0.0, cpu - before.work) * settings.fan_out / before.fan_out + settings.work
