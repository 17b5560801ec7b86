"""What a number may be, and the sentence that says so when it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from services.problem import Problem

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
LONGEST_NUMBER = 32  # characters; nothing that is meant seriously is longer
LONGEST_ECHO = 80  # characters of a bad value that are shown back


class OutOfBounds(Problem):
    """A value that is not what its bound allows."""

    def __init__(self, bound: Bound, came: str) -> None:
        came = came[:LONGEST_ECHO] + ("…" if len(came) > LONGEST_ECHO else "")
        detail = f"{bound.name} must be {bound.allowed}; it is {came!r}"
        super().__init__(detail, parameter=bound.name, minimum=bound.minimum, maximum=bound.maximum, came=came)


@dataclass(frozen=True, slots=True)
class Bound:
    """A number's name, kind and limits; `minimum` and `maximum` are allowed values."""

    name: str
    minimum: float
    maximum: float
    unit: str = ""
    whole: bool = False

    @property
    def allowed(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        unit = f" {self.unit}" if self.unit else ""
        return f"{kind} from {self.minimum:g} to {self.maximum:g}{unit}"

    def parse(self, text: str) -> float:
        """Return the number that `text` writes. Raises OutOfBounds."""
        if len(text) > LONGEST_NUMBER or not NUMBER.fullmatch(text):
            raise OutOfBounds(self, text)
        value = float(text)
        if not self.minimum <= value <= self.maximum or (self.whole and not value.is_integer()):
            raise OutOfBounds(self, text)
        return int(value) if self.whole else value


# One call of the api, as both services read it from a query string or the environment.
LATENCY = Bound("latency", 0, 10, "seconds")
JITTER = Bound("jitter", 0, 10, "seconds")
LATENCY_P99 = Bound("latency_p99", 0, 60, "seconds")
CORRELATED = Bound("correlated", 0, 1, whole=True)
FAIL = Bound("fail", 0, 1, "(a share)")
HANG = Bound("hang", 0, 1, "(a share)")
OF_A_CALL = {bound.name: bound for bound in (LATENCY, JITTER, LATENCY_P99, CORRELATED, FAIL, HANG)}


def refuse_together(latency: float, jitter: float, latency_p99: float) -> None:
    """Raise OutOfBounds where the values do not go together; seconds."""
    if not latency_p99:
        return
    if not latency:
        raise OutOfBounds(replace(LATENCY_P99, maximum=0, unit="without a latency"), f"{latency_p99:g}")
    if latency_p99 < latency:
        raise OutOfBounds(replace(LATENCY_P99, minimum=latency), f"{latency_p99:g}")
    if jitter:
        raise OutOfBounds(replace(JITTER, maximum=0, unit="with a latency_p99"), f"{jitter:g}")


# One page, as the aggregator reads it.
FAN_OUT = Bound("fan_out", 1, 100, "calls", whole=True)
HANGING = Bound("hanging", 0, 100, "calls", whole=True)
WORK = Bound("work", 0, 1, "CPU seconds")
