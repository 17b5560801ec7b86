"""Is an answer a whole page? Pure."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

ELAPSED = b'"elapsed": '
NUMBER = re.compile(rb"(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")  # as JSON writes one
PARTIAL = {"partial", "partial_threads"}  # pages that say which calls they did not wait for
STREAMED = {"stream", "stream_threads"}  # pages that hold their responses in order of arrival


def fault(status: int, body: bytes | None, strategy: str, fan_out: int) -> str | None:
    """Why the answer does not count as a page, or None when it does.

    The sentence is the same for the same kind of fault, so that faults can be counted. Every byte is looked at, but one
    whole page differs from the next only in how long it took: what was read before need not be read again.
    """
    if status == 0:
        return "no answer: the connection failed or was cut off"
    body = body or b""
    before, name, rest = body.partition(ELAPSED)
    number, comma, after = rest.partition(b",")
    if NUMBER.fullmatch(number):
        return known_fault(status, b"".join((before, name, b"0", comma, after)), strategy, fan_out)
    return fault_in(status, body, strategy, fan_out)


def fault_in(status: int, body: bytes, strategy: str, fan_out: int) -> str | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return f"{status}: the answer is not JSON"
    if not isinstance(answer, dict):
        return f"{status}: the answer is not a page"
    if status != 200:
        return f"{status} {answer.get('title', '')}: {reason(answer)}"
    if answer.get("strategy") != strategy:
        return f"the strategy is {str(answer.get('strategy'))[:40]!r}, not {strategy!r}"
    responses = answer.get("responses")
    missing = answer.get("missing", []) if strategy in PARTIAL else []
    if not isinstance(responses, list) or not isinstance(missing, list) or len(responses) + len(missing) != fan_out:
        came = len(responses) if isinstance(responses, list) else "no"
        return f"{came} responses, not {fan_out}"
    if failed := [response for response in responses if isinstance(response, dict) and "failed" in response]:
        return f"a call failed: {failed[0]['failed']}"[:200]
    tasks = [task(response) for response in responses]
    if strategy in STREAMED and answer.get("order") == "arrival":
        whole = sorted(map(str, tasks)) == sorted(map(str, range(fan_out)))
        return None if whole else "the responses are not those of all tasks"
    if tasks != in_order(fan_out, missing, there=False) or missing != in_order(fan_out, missing, there=True):
        return "the responses are not in task order"
    return None


known_fault = lru_cache(maxsize=64)(fault_in)


def in_order(fan_out: int, tasks: list[Any], *, there: bool) -> list[str]:
    """Of a page's tasks those that are there, or not there, among these."""
    return [str(n) for n in range(fan_out) if (str(n) in tasks) == there]


def reason(problem: dict[str, Any]) -> str:
    failures = problem.get("failures")
    if isinstance(failures, list) and failures and isinstance(failures[0], dict):
        return str(failures[0].get("why"))[:200]
    return str(problem.get("detail"))[:200]


def task(response: Any) -> Any:
    return response.get("task_id") if isinstance(response, dict) else None
