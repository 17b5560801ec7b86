"""Is an answer a whole page? Pure."""

from __future__ import annotations

import json
from typing import Any

from loadtests.model.measurement import NO_ANSWER

PARTIAL = {"partial", "partial_threads"}  # pages that say which calls they did not wait for
STREAMED = {"stream", "stream_threads"}  # pages that hold their responses in order of arrival


def fault(status: int, body: bytes | None, strategy: str, fan_out: int, nonce: str = "") -> str | None:
    """Return why the answer does not count as a page; None if it does.

    The sentence is the same for the same kind of fault, so that faults can be counted. `nonce`: what this page alone
    was asked with. Each of its calls hands it to the api, which gives it back: so no answer is cached or invented.
    """
    if status == 0:
        return f"{NO_ANSWER}: the connection failed"
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
    return fault_of_responses(answer, strategy, fan_out, nonce)


def fault_of_responses(answer: dict[str, Any], strategy: str, fan_out: int, nonce: str) -> str | None:
    responses = answer.get("responses")
    missing = answer.get("missing", []) if strategy in PARTIAL else []
    if not isinstance(responses, list) or not isinstance(missing, list) or len(responses) + len(missing) != fan_out:
        came = len(responses) if isinstance(responses, list) else "no"
        return f"{came} responses, not {fan_out}"
    if failed := [response for response in responses if isinstance(response, dict) and "failed" in response]:
        return f"a call failed: {failed[0]['failed']}"[:200]
    if any(held(response, "page", "") != nonce for response in responses):
        return "an answer was not made for this page: its nonce is not there"
    tasks = [held(response, "task_id") for response in responses]
    every = [str(number) for number in range(fan_out)]
    if strategy in STREAMED and answer.get("order") == "arrival":
        return None if sorted(map(str, tasks)) == sorted(every) else "the responses are not those of all tasks"
    there = [task for task in every if task not in missing]
    if (tasks, missing) != (there, [task for task in every if task in missing]):
        return "the responses are not in task order"
    return None


def reason(problem: dict[str, Any]) -> str:
    failures = problem.get("failures")
    if isinstance(failures, list) and failures and isinstance(failures[0], dict):
        return str(failures[0].get("why"))[:200]
    return str(problem.get("detail"))[:200]


def held(response: Any, key: str, otherwise: Any = None) -> Any:
    return response.get(key, otherwise) if isinstance(response, dict) else otherwise
