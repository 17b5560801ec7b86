"""The query string → a checked, bounded page. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from services import query
from services.bounds import FAN_OUT, HANG, HANGING, JITTER, LATENCY, LATENCY_P99, OF_A_CALL, WORK, refuse_together
from services.problem import Problem

NONCE = re.compile(r"[\w-]{0,64}", re.ASCII)
NUMBERS = {FAN_OUT.name: FAN_OUT, **OF_A_CALL, HANGING.name: HANGING, WORK.name: WORK}


@dataclass(frozen=True, slots=True)
class Call:
    """What one call asks of the api. `page`: its page's nonce, which the api gives back; empty where it has none."""

    task: int
    behaviour: str
    page: str = ""

    @property
    def task_id(self) -> str:
        return str(self.task)

    @property
    def query(self) -> str:
        return f"task_id={self.task}{self.behaviour}"

    @property
    def headers(self) -> dict[str, str]:
        return {"x-page": self.page} if self.page else {}


@dataclass(frozen=True, slots=True)
class Page:
    """What one page asks for: so many calls, and what each call asks of the api.

    `hanging`: how many of the calls, from the first on, the api never answers. `work`: CPU seconds that the page
    computes before its calls. `nonce`: what tells this page from every other one.
    """

    fan_out: int
    behaviour: Mapping[str, float]
    hanging: int
    work: float
    nonce: str = ""

    @property
    def calls(self) -> list[Call]:
        """Return the calls in task order."""
        usual, hanging = passed_on(self.behaviour), passed_on({**self.behaviour, HANG.name: HANG.maximum})
        return [Call(task, hanging if task < self.hanging else usual, self.nonce) for task in range(self.fan_out)]


def passed_on(behaviour: Mapping[str, float]) -> str:
    return "".join(f"&{name}={value!r}" for name, value in behaviour.items())


def read_page(query_string: str, default_fan_out: int, default_work: float = 0.0) -> Page:
    """Read a page's query; what it does not give is left to the api's defaults. Raises Problem."""
    texts = query.read(query_string, (*NUMBERS, "page"))
    if not NONCE.fullmatch(nonce := texts.pop("page", "")):
        raise Problem("page may have 64 ASCII letters, digits, - and _", parameter="page", maximum=64)
    given = {name: bound.parse(texts[name]) for name, bound in NUMBERS.items() if name in texts}
    if LATENCY.name in given:  # else the api's default decides, which only the api knows
        refuse_together(given[LATENCY.name], given.get(JITTER.name, 0.0), given.get(LATENCY_P99.name, 0.0))
    fan_out, hanging = int(given.pop(FAN_OUT.name, default_fan_out)), int(given.pop(HANGING.name, 0))
    return Page(fan_out, hanging=hanging, work=given.pop(WORK.name, default_work), behaviour=given, nonce=nonce)
