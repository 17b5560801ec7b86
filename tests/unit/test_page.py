from __future__ import annotations

import json
from typing import Any

import pytest

from loadtests.page import fault


def body(**changes: Any) -> str:
    page = {"strategy": "gather", "responses": [{"task_id": "0"}, {"task_id": "1"}]} | changes
    return json.dumps(page)


def test_a_whole_page_has_no_fault() -> None:
    assert fault(200, body(), "gather", 2) is None


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (0, None, "no answer"),
        (200, "", "not JSON"),
        (200, "<html>", "not JSON"),
        (200, "[]", "not a page"),
        (200, "null", "not a page"),
        (200, body(strategy="sequential"), "the strategy is 'sequential', not 'gather'"),
        (200, body(responses=[{"task_id": "0"}]), "1 responses, not 2"),
        (200, body(responses=None), "no responses, not 2"),
        (200, body(responses=[{"task_id": "1"}, {"task_id": "0"}]), "not in task order"),
        (200, body(responses=[{"task_id": "0"}, {"task_id": "0"}]), "not in task order"),
        (200, body(responses=["0", "1"]), "not in task order"),
        (500, "oops", "not JSON"),
        (400, json.dumps({"title": "Bad Request", "detail": "no"}), "400 Bad Request: no"),
        (502, json.dumps({"title": "Bad Gateway", "failures": [{"why": "refused"}]}), "502 Bad Gateway: refused"),
    ],
)
def test_anything_less_counts_as_a_failure(status: int, answer: str | None, why: str) -> None:
    assert why in str(fault(status, answer, "gather", 2))


def test_a_good_body_with_a_bad_status_is_a_failure() -> None:
    assert fault(503, body(), "gather", 2)
