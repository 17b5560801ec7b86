"""The query string → a checked, bounded page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services import query
from services.bounds import FAIL, FAN_OUT, HANG, HANGING, JITTER, LATENCY, WORK

PASSED_ON = {bound.name: bound for bound in (LATENCY, JITTER, FAIL, HANG)}
KNOWN = (FAN_OUT.name, *PASSED_ON, HANGING.name, WORK.name)


@dataclass(frozen=True, slots=True)
class Page:
    """What one page asks for: so many calls, and what each call asks of the api.

    `hanging`: how many of the calls, from the first on, the api never answers. `work`: CPU seconds that the page
    computes before its calls.
    """

    fan_out: int
    behaviour: Mapping[str, float]
    hanging: int
    work: float

    @property
    def calls(self) -> list[str]:
        """The query string of each call, in task order."""
        usual, hanging = passed_on(self.behaviour), passed_on({**self.behaviour, HANG.name: HANG.maximum})
        return [f"task_id={task}{hanging if task < self.hanging else usual}" for task in range(self.fan_out)]


def passed_on(behaviour: Mapping[str, float]) -> str:
    return "".join(f"&{name}={value!r}" for name, value in behaviour.items())


def read_page(query_string: str, default_fan_out: int, default_work: float = 0.0) -> Page:
    """Raises BadQuery and OutOfBounds; what is not given is left to the api's own defaults."""
    texts = query.read(query_string, KNOWN)
    fan_out, hanging, work = (texts.pop(bound.name, None) for bound in (FAN_OUT, HANGING, WORK))
    return Page(
        fan_out=default_fan_out if fan_out is None else int(FAN_OUT.parse(fan_out)),
        behaviour={name: PASSED_ON[name].parse(text) for name, text in texts.items()},
        hanging=0 if hanging is None else int(HANGING.parse(hanging)),
        work=default_work if work is None else WORK.parse(work),
    )
