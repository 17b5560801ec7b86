"""The query string → a checked, bounded page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services import query
from services.bounds import FAIL, FAN_OUT, HANG, JITTER, LATENCY

PASSED_ON = {bound.name: bound for bound in (LATENCY, JITTER, FAIL, HANG)}
KNOWN = (FAN_OUT.name, *PASSED_ON)


@dataclass(frozen=True, slots=True)
class Page:
    """What one page asks for: so many calls, and the query that each of them carries, as text and as numbers."""

    fan_out: int
    behaviour: str
    values: Mapping[str, float]

    @property
    def calls(self) -> list[str]:
        """The query string of each call, in task order."""
        return [f"task_id={task}{self.behaviour}" for task in range(self.fan_out)]


def read_page(query_string: str, default_fan_out: int) -> Page:
    """Raises BadQuery and OutOfBounds; what is not given is left to the api's own defaults."""
    texts = query.read(query_string, KNOWN)
    fan_out = texts.pop(FAN_OUT.name, None)
    behaviour = {name: PASSED_ON[name].parse(text) for name, text in texts.items()}
    return Page(
        fan_out=default_fan_out if fan_out is None else int(FAN_OUT.parse(fan_out)),
        behaviour="".join(f"&{name}={value!r}" for name, value in behaviour.items()),
        values=behaviour,
    )
