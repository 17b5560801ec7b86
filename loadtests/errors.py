"""What can go wrong, and the exit code that says so.

LabError              ends a command with one sentence
├─ BadInput           a value that cannot be used
└─ LabDown            the lab could not be brought up
Interrupted           a person or a signal stopped the run; what was measured is kept
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum


class ExitCode(IntEnum):
    CONFIRMED = 0
    NOT_CONFIRMED = 1
    INVALID = 2
    NOT_UP = 3  # also for invalid input, and for an unexpected error: there is no verdict
    INTERRUPTED = 130


class LabError(Exception):
    """A sentence for a person: what was wrong, what is allowed, what to do. `details` are log lines."""

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details


class BadInput(LabError):
    pass


class LabDown(LabError):
    pass


class Interrupted(BaseException):
    """Not an Exception: nothing that handles failures may swallow it."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that refuses a word: the nearest of the known ones, if one is near."""
    near = get_close_matches(word, known, n=1, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else ""
