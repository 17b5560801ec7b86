"""Is an answer a whole page? Pure."""

from __future__ import annotations

import json
from typing import Any


def fault(status: int, body: bytes | str | None, strategy: str, fan_out: int) -> str | None:
    """Why the answer does not count as a page, or None when it does.

    The sentence is the same for the same kind of fault, so that faults can be counted.
    """
    if status == 0:
        return "no answer: the connection failed or was cut off"
    try:
        answer = json.loads(body or b"")
    except ValueError:
        return f"{status}: the answer is not JSON"
    if not isinstance(answer, dict):
        return f"{status}: the answer is not a page"
    if status != 200:
        return f"{status} {answer.get('title', '')}: {reason(answer)}"
    if answer.get("strategy") != strategy:
        return f"the strategy is {str(answer.get('strategy'))[:40]!r}, not {strategy!r}"
    responses = answer.get("responses")
    if not isinstance(responses, list) or len(responses) != fan_out:
        came = len(responses) if isinstance(responses, list) else "no"
        return f"{came} responses, not {fan_out}"
    if [task(response) for response in responses] != [str(n) for n in range(fan_out)]:
        return "the responses are not in task order"
    return None


def reason(problem: dict[str, Any]) -> str:
    failures = problem.get("failures")
    if isinstance(failures, list) and failures and isinstance(failures[0], dict):
        return str(failures[0].get("why"))[:200]
    return str(problem.get("detail"))[:200]


def task(response: Any) -> Any:
    return response.get("task_id") if isinstance(response, dict) else None
