"""What a person can turn, with its bounds. Pure; the defaults stand in compose.yaml.

The bounds are those of the services, which refuse what lies outside; a test compares the two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from loadtests.arrivals import SHAPES
from loadtests.errors import BadInput, did_you_mean
from loadtests.step import Step

# What suits the interface of the target: all calls of a page at once under both.
PARALLEL = {"WSGI": "threadpool", "ASGI": "gather"}

MOST_USERS = 10_000
LOWEST_RATE, HIGHEST_RATE = 0.1, 10_000  # pages/s
MOST_STEPS = 12
MOST_REPEATS = 20
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)  # as the services read one
DIGITS = re.compile(r"\d+", re.ASCII)
LONGEST_NUMBER = 32  # characters
SMALLEST_MEMORY = 6 * 1024**2  # bytes that a container needs
MEMORY = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)([bkmgt]?)b?", re.ASCII | re.IGNORECASE)
UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
YES, NO = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Knob:
    name: str
    minimum: float
    maximum: float
    help: str
    whole: bool = False

    @property
    def variable(self) -> str:
        return self.name.upper()

    def parse(self, text: str) -> float:
        """Return the number that `text` writes in ASCII digits. Raises BadInput."""
        written = len(text) <= LONGEST_NUMBER and (DIGITS if self.whole else NUMBER).fullmatch(text)
        value = (int(text) if self.whole else float(text)) if written else math.nan
        if not self.minimum <= value <= self.maximum:
            kind = "a whole number" if self.whole else "a number"
            raise BadInput(
                f"{self.variable} must be {kind} from {self.minimum:.10g} to {self.maximum:.10g}; it is {text[:80]!r}"
            )
        return value


KNOBS = (
    Knob("fan_out", 1, 100, "calls per page", whole=True),
    Knob("latency", 0, 10, "seconds the api waits before it answers a call"),
    Knob("jitter", 0, 10, "seconds, at random up to this, that it waits longer"),
    Knob("latency_p99", 0, 60, "seconds that one call of 100 passes: lognormal, with the latency as its median; 0: no"),
    Knob("correlated", 0, 1, "1: all calls of a page are slow together", whole=True),
    Knob("fail", 0, 1, "share of calls that the api answers with 503"),
    Knob("work", 0, 1, "seconds that a page computes"),
)


SECONDS = (0.01, 600)
# What else compose.yaml's variables may be: with the bounds of the services, or those of Docker.
DEPLOYMENT = (
    Knob("hang", 0, 1, "share of calls that the api never answers"),
    Knob("seed", 0, 2**31, "of the api's random numbers", whole=True),
    Knob("wsgi_workers", 1, 64, "processes of gunicorn", whole=True),
    Knob("wsgi_threads", 1, 10_000, "threads of each, so many slots", whole=True),
    Knob("asgi_workers", 1, 64, "processes of uvicorn", whole=True),
    Knob("call_timeout", *SECONDS, "seconds without an answer"),
    Knob("connect_timeout", *SECONDS, "seconds to connect"),
    Knob("deadline", *SECONDS, "seconds until some variants stop waiting"),
    Knob("max_connections", 1, 100_000, "connections of the async client", whole=True),
    Knob("threadpool", 1, 10_000, "threads that make calls", whole=True),
    Knob("database_pool", 1, 10_000, "connections of a worker to PostgreSQL", whole=True),
)
CHOICES = {
    "TELEMETRY": ("on", "off"),
    "MIDDLEWARE_SET": ("lab", "none", "sync_only", "django"),
    "DJANGO_THREADS": ("each", "no_receivers", "shared"),
}


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
            raise BadInput(
                f"LATENCY_P99 must be 0 or at least LATENCY, the median, which must be above 0; they are "
                f"{self.latency_p99:g} and {self.latency:g}"
            )

    def turned(self, changes: Mapping[str, float]) -> Settings:
        """With some knobs at other values. Raises BadInput."""
        known = {knob.name: knob for knob in KNOBS}
        values: dict[str, Any] = {name: known[name].parse(f"{value}") for name, value in changes.items()}
        return replace(self, **values)

    @property
    def words(self) -> str:
        """What a page has to wait for."""
        slowest = f" (p99 {self.latency_p99:g} s)" if self.latency_p99 else ""
        together = ", slow together," if self.correlated else ""
        return f"{self.fan_out} call{'' if self.fan_out == 1 else 's'} × {self.latency:g} s{slowest}{together} a page"

    @property
    def query(self) -> str:
        return "&".join(f"{name}={value}" for name, value in asdict(self).items())

    @property
    def failing_pages(self) -> float:
        """The share of pages that fail because one of their calls is meant to."""
        return 1 - (1 - self.fail) ** self.fan_out


def settings(texts: Mapping[str, str]) -> Settings:
    """From texts by knob name. Raises BadInput for a bad value or a missing one."""
    values: dict[str, Any] = {}
    for knob in KNOBS:
        if not texts.get(knob.name):
            raise BadInput(f"{knob.variable} is not set; compose.yaml holds its default")
        values[knob.name] = knob.parse(texts[knob.name])
    return Settings(**values)


def check(variable: str, text: str) -> None:
    """Raise BadInput where one of compose.yaml's variables may not be `text`; some may be any text."""
    numbers_of = {knob.variable: knob for knob in (*KNOBS, *DEPLOYMENT)}
    if variable in numbers_of:
        numbers_of[variable].parse(text)
    elif variable.endswith("_PORT"):
        if not DIGITS.fullmatch(text) or len(text) > LONGEST_NUMBER or not 1 <= int(text) <= 65535:
            raise BadInput(f"{variable} must be a port from 1 to 65535; it is {text[:80]!r}")
    elif variable.endswith("_CPUS"):
        Knob(variable.lower(), 0.01, 1024, "cores").parse(text)
    elif variable.endswith("_MEMORY"):
        amount = MEMORY.fullmatch(text)
        if not amount or float(amount[1]) * UNITS[amount[2].lower()] < SMALLEST_MEMORY:
            raise BadInput(f"{variable} must be 6m (megabytes) or more, as in 512m or 1.5g; it is {text[:80]!r}")
    elif variable in CHOICES and text not in CHOICES[variable]:
        raise BadInput(f"{variable} must be one of {', '.join(CHOICES[variable])}; it is {text[:80]!r}")


def switch(variable: str, text: str) -> bool:
    """Return whether `text` says yes. Raises BadInput where it says neither yes nor no."""
    if (word := text.strip().lower()) not in YES | NO:
        raise BadInput(f"{variable} must be 1, true, yes or on, or 0, false, no or off; it is {text[:80]!r}")
    return word in YES


def check_strategy(strategy: str, known: Collection[str]) -> None:
    """Raises BadInput."""
    if strategy not in known:
        raise BadInput(
            f"STRATEGY must be one of {', '.join(known)}; it is {strategy[:80]!r}{did_you_mean(strategy, known)}"
        )


def strategies(paths: Mapping[str, str]) -> tuple[str, ...]:
    """What can be asked of a target that has these paths by strategy."""
    return ("parallel", *paths)


def strategy_for(strategy: str, interface: str) -> str:
    """The strategy itself, or the one that `parallel` means for this interface."""
    return PARALLEL[interface] if strategy == "parallel" else strategy


def users(text: str) -> tuple[Step, ...]:
    """'1,10,50' → the closed steps, ascending. Raises BadInput."""
    return tuple(Step(users=int(number)) for number in numbers(Knob("users", 1, MOST_USERS, "", whole=True), text))


def rates(text: str) -> tuple[Step, ...]:
    """'20,40,80' → the open steps, ascending, in pages/s. Raises BadInput."""
    return tuple(Step(rate=number) for number in numbers(Knob("rate", LOWEST_RATE, HIGHEST_RATE, ""), text))


THINK = Knob("think", 0, 60, "seconds that a user thinks after a page, on average")


def arrivals(text: str) -> str:
    """Raises BadInput."""
    if text not in SHAPES:
        raise BadInput(f"ARRIVALS must be one of {', '.join(SHAPES)}; it is {text[:80]!r}{did_you_mean(text, SHAPES)}")
    return text


def numbers(knob: Knob, text: str) -> list[float]:
    if not all(part.strip() for part in text.split(",")):
        raise BadInput(f"{knob.variable} must be numbers separated by single commas; it is {text[:80]!r}")
    found = sorted({knob.parse(part.strip()) for part in text.split(",")})
    if len(found) > MOST_STEPS:
        raise BadInput(f"{knob.variable} may have {MOST_STEPS} steps; it has {len(found)}")
    return found


def repeats(text: str) -> int:
    """Raises BadInput."""
    return int(Knob("repeats", 1, MOST_REPEATS, "", whole=True).parse(text))
