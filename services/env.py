"""The environment → typed values. A missing or bad variable stops the start and is named.

Defaults stand in compose.yaml and nowhere else, so everything read here is required but for `optional`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from dataclasses import replace

from services.bounds import Bound, OutOfBounds

FAILED_START = 3  # the exit status at which gunicorn gives up instead of starting the worker again


class BadEnvironment(SystemExit):
    """Ends the process with one sentence on stderr."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.code = FAILED_START
        print(sentence, file=sys.stderr, flush=True)


def text(name: str) -> str:
    value = optional(name)
    if not value:
        raise BadEnvironment(f"{name} is not set; compose.yaml holds its default and says what it is")
    return value


def optional(name: str) -> str:
    """Return a variable that a deployment may do without; empty if it is not set."""
    return os.environ.get(name, "").strip()


def number(name: str, bound: Bound) -> float:
    try:
        return replace(bound, name=name).parse(text(name))
    except OutOfBounds as error:
        raise BadEnvironment(f"environment: {error}") from None


def choice(name: str, allowed: Collection[str]) -> str:
    value = text(name)
    if value not in allowed:
        raise BadEnvironment(f"environment: {name} must be {' or '.join(allowed)}; it is {value[:80]!r}")
    return value


def switch(name: str) -> bool:
    return choice(name, ("on", "off")) == "on"


def whole(name: str, minimum: int, maximum: int) -> int:
    return int(number(name, Bound(name, minimum, maximum, whole=True)))
