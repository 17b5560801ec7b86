"""A query string → named texts, strictly: a misspelled parameter must not pass as its default."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

from services.problem import Problem

LONGEST_QUERY = 2000  # characters


def read(query_string: str, known: Collection[str]) -> dict[str, str]:
    """Read each parameter once, all of them known. Raises Problem."""
    if len(query_string) > LONGEST_QUERY:
        detail = f"the query is longer than {LONGEST_QUERY} characters"
        raise Problem(detail, maximum=LONGEST_QUERY, came=len(query_string))
    found: dict[str, str] = {}
    for name, value in parse_qsl(query_string, keep_blank_values=True):
        if name not in known:
            detail = f"unknown parameter {name[:80]!r}; known are {', '.join(known)}"
            raise Problem(detail, parameter=name[:80], known=list(known))
        if name in found:
            detail = f"{name} is given more than once; once is allowed"
            raise Problem(detail, parameter=name, came=[found[name][:80], value[:80]])
        found[name] = value
    return found
