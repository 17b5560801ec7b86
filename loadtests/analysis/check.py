"""What has to hold for a measurement to be worth a verdict. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """`measurement` is its name; `value` and `limit` are sentences' parts with their unit."""

    name: str
    measurement: str
    passed: bool
    value: str
    limit: str
    remedy: str

    @property
    def sentence(self) -> str:
        return f"{self.name} in {self.measurement}: {self.value} ({self.limit}). {self.remedy}"
