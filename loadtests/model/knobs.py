"""What a person can turn, with its bounds. Pure; the defaults stand in compose.yaml.

The bounds are those of the services, which refuse what lies outside; a test compares the two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from loadtests.errors import BadInput, did_you_mean
from loadtests.model.arrivals import SHAPES
from loadtests.model.load_level import LoadLevel

LOGIN = "LOCUST_LOGIN"  # the variable with the web UI's name:password

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
            bounds = f"from {self.minimum:.10g} to {self.maximum:.10g}"
            raise BadInput(f"{self.variable} must be {kind} {bounds}; it is {text[:80]!r}")
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
    Knob("api_workers", 1, 64, "processes of the api", whole=True),
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
    "TRACE": ("0", "1"),
}


NUMBERS = {knob.variable: knob for knob in (*KNOBS, *DEPLOYMENT)}


def check(variable: str, text: str) -> None:
    """Raise BadInput where one of compose.yaml's variables may not be `text`; some may be any text."""
    if variable in NUMBERS:
        NUMBERS[variable].parse(text)
    elif variable.endswith("_PORT"):
        if not DIGITS.fullmatch(text) or len(text) > LONGEST_NUMBER or not 1 <= int(text) <= 65535:
            raise BadInput(f"{variable} must be a port from 1 to 65535; it is {text[:80]!r}")
    elif variable.endswith("_CPUS"):
        Knob(variable.lower(), 0.01, 1024, "cores").parse(text)
    elif variable.endswith("_MEMORY"):
        amount = MEMORY.fullmatch(text)
        if not amount or float(amount[1]) * UNITS[amount[2].lower()] < SMALLEST_MEMORY:
            raise BadInput(f"{variable} must be 6m (megabytes) or more, as in 512m or 1.5g; it is {text[:80]!r}")
    elif variable in CHOICES:
        refuse_other(variable, text, CHOICES[variable])


def refuse_other(variable: str, text: str, known: Collection[str]) -> None:
    """Raise BadInput where `text` is none of those that are known."""
    if text not in known:
        hint = did_you_mean(text, known)
        raise BadInput(f"{variable} must be one of {', '.join(known)}; it is {text[:80]!r}{hint}")


def switch(variable: str, text: str) -> bool:
    """Return whether `text` says yes. Raises BadInput where it says neither yes nor no."""
    if (word := text.strip().lower()) not in YES | NO:
        raise BadInput(f"{variable} must be 1, true, yes or on, or 0, false, no or off; it is {text[:80]!r}")
    return word in YES


def check_strategy(strategy: str, known: Collection[str]) -> None:
    """Check that there is such a strategy. Raises BadInput."""
    refuse_other("STRATEGY", strategy, known)


def strategies(paths: Mapping[str, str]) -> tuple[str, ...]:
    """Return what can be asked of a target that has these paths by strategy."""
    return ("parallel", *paths) if {*PARALLEL.values()} & {*paths} else tuple(paths)


def strategy_for(strategy: str, interface: str) -> str:
    """Return the strategy itself, or the one that `parallel` means for this interface."""
    return PARALLEL[interface] if strategy == "parallel" else strategy


def users(text: str) -> tuple[LoadLevel, ...]:
    """Parse '1,10,50' into closed load levels, ascending. Raises BadInput."""
    return tuple(LoadLevel(users=int(number)) for number in numbers(Knob("users", 1, MOST_USERS, "", whole=True), text))


def rates(text: str) -> tuple[LoadLevel, ...]:
    """Parse '20,40,80' (pages/s) into open load levels, ascending. Raises BadInput."""
    return tuple(LoadLevel(rate=number) for number in numbers(Knob("rate", LOWEST_RATE, HIGHEST_RATE, ""), text))


THINK = Knob("think", 0, 60, "seconds that a user thinks after a page, on average")


def arrivals(text: str) -> str:
    """Return the shape of arrivals. Raises BadInput."""
    refuse_other("ARRIVALS", text, SHAPES)
    return text


def numbers(knob: Knob, text: str) -> list[float]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise BadInput(f"{knob.variable} must be numbers separated by single commas; it is {text[:80]!r}")
    found = sorted(set(map(knob.parse, parts)))
    if len(found) > MOST_STEPS:
        raise BadInput(f"{knob.variable} may have {MOST_STEPS} steps; it has {len(found)}")
    return found


AUTO = "auto"
GENERATORS = Knob("generators", 1, 64, "processes that load", whole=True)


def generators(text: str) -> int | None:
    """Parse the number of load generators; None: as many as the load needs. Raises BadInput."""
    try:
        return None if text == AUTO else int(GENERATORS.parse(text))
    except BadInput as error:
        raise BadInput(str(error).replace("must be", f"must be {AUTO} or", 1)) from None


def repeats(text: str) -> int:
    """Parse the number of repeats. Raises BadInput."""
    return int(Knob("repeats", 1, MOST_REPEATS, "", whole=True).parse(text))
