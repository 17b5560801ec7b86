from __future__ import annotations

import json
from typing import Any

import pytest

from loadtests.generator.page import fault


def body(**changes: Any) -> bytes:
    page = {"strategy": "gather", "elapsed": 1.25, "responses": [{"task_id": "0"}, {"task_id": "1"}]} | changes
    return json.dumps(page).encode()


def test_a_whole_page_has_no_fault() -> None:
    assert fault(200, body(), "gather", 2) is None


def test_an_answer_that_was_not_made_for_this_page_is_none() -> None:
    """A page from a cache holds another page's nonce, an invented one none; one of many answers is enough."""
    own, other, none = ({"task_id": "0", **more} for more in ({"page": "own"}, {"page": "other"}, {}))
    assert fault(200, body(responses=[own, {**own, "task_id": "1"}]), "gather", 2, "own") is None
    for response in (other, none, {**own, "page": None}, {**own, "page": ["own"]}):
        answer = body(responses=[own, {**response, "task_id": "1"}])
        assert fault(200, answer, "gather", 2, "own") == "an answer was not made for this page: its nonce is not there"


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (0, None, "no answer"),
        (200, b"", "not JSON"),
        (200, b"<html>", "not JSON"),
        (200, b"[]", "not a page"),
        (200, b"null", "not a page"),
        (200, body(strategy="sequential"), "the strategy is 'sequential', not 'gather'"),
        (200, body(responses=[{"task_id": "0"}]), "1 responses, not 2"),
        (200, body(responses=None), "no responses, not 2"),
        (200, body(responses=[{"task_id": "1"}, {"task_id": "0"}]), "not in task order"),
        (200, body(responses=[{"task_id": "0"}, {"task_id": "0"}]), "not in task order"),
        (200, body(responses=["0", "1"]), "not in task order"),
        (500, b"oops", "not JSON"),
        (400, b'{"title": "Bad Request", "detail": "no"}', "400 Bad Request: no"),
        (502, b'{"title": "Bad Gateway", "failures": [{"why": "refused"}]}', "502 Bad Gateway: refused"),
    ],
)
def test_anything_less_counts_as_a_failure(status: int, answer: bytes | None, why: str) -> None:
    assert why in str(fault(status, answer, "gather", 2))


def responses(*tasks: int) -> list[dict[str, str]]:
    return [{"task_id": str(task)} for task in tasks]


@pytest.mark.parametrize("strategy", ["partial", "partial_threads"])
@pytest.mark.parametrize(
    ("came", "missing"), [((0, 2), ["1"]), ((2,), ["0", "1"]), ((), ["0", "1", "2"]), ((0, 1, 2), [])]
)
def test_a_partial_page_is_whole_when_it_names_what_is_missing(
    strategy: str, came: tuple[int, ...], missing: list[str]
) -> None:
    assert fault(200, body(strategy=strategy, responses=responses(*came), missing=missing), strategy, 3) is None


@pytest.mark.parametrize(
    ("came", "missing", "why"),
    [
        ((0, 2), [], "2 responses, not 3"),
        ((0, 2), None, "2 responses, not 3"),
        ((0, 2), ["1", "1"], "2 responses, not 3"),
        ((0,), ["1", "1"], "not in task order"),
        ((0, 2), ["2"], "not in task order"),
        ((0, 1), ["3"], "not in task order"),
        ((2, 0), ["1"], "not in task order"),
        ((0,), ["2", "1"], "not in task order"),
        ((0, 2), [1], "not in task order"),
    ],
)
def test_a_partial_page_with_any_other_gap_is_a_failure(came: tuple[int, ...], missing: Any, why: str) -> None:
    answer = body(strategy="partial", responses=responses(*came), missing=missing)
    assert why in str(fault(200, answer, "partial", 3))


def test_only_a_partial_page_may_lack_a_call() -> None:
    assert fault(200, body(responses=responses(0, 2), missing=["1"]), "gather", 3) == "2 responses, not 3"


@pytest.mark.parametrize("strategy", ["stream", "stream_threads"])
def test_a_streamed_page_may_come_in_any_order(strategy: str) -> None:
    answer = body(strategy=strategy, order="arrival", responses=responses(2, 0, 1))
    assert fault(200, answer, strategy, 3) is None


@pytest.mark.parametrize(
    ("strategy", "changes", "why"),
    [
        ("stream", {"responses": responses(1, 0)}, "not in task order"),
        ("stream", {"responses": responses(1, 1), "order": "arrival"}, "not those of all tasks"),
        ("stream", {"responses": responses(1), "order": "arrival"}, "1 responses, not 2"),
        ("stream", {"responses": ["0", None], "order": "arrival"}, "not those of all tasks"),
        ("gather", {"responses": responses(1, 0), "order": "arrival"}, "not in task order"),
        (
            "stream",
            {"responses": [{"task_id": "0"}, {"task_id": "1", "failed": "refused"}], "order": "arrival"},
            "a call failed: refused",
        ),
    ],
)
def test_a_streamed_page_that_is_not_whole_is_a_failure(strategy: str, changes: dict[str, Any], why: str) -> None:
    assert why in str(fault(200, body(strategy=strategy, **changes), strategy, 2))


def test_a_good_body_with_a_bad_status_is_a_failure() -> None:
    assert fault(503, body(), "gather", 2)


def test_every_page_is_looked_at_though_the_last_one_was_whole() -> None:
    for elapsed in (1.25, 0.5, 3e-05, 2):
        assert fault(200, body(elapsed=elapsed), "gather", 2) is None
        assert fault(200, body(elapsed=elapsed, responses=[{"task_id": "1"}, {"task_id": "0"}]), "gather", 2)
        assert fault(200, body(elapsed=elapsed), "gather", 3)
        assert fault(200, body(elapsed=elapsed), "threadpool", 2)
        assert fault(503, body(elapsed=elapsed), "gather", 2)


@pytest.mark.parametrize("elapsed", [b"00.5", b"1.", b"x", b"", b"nan,", b"-"])
def test_a_number_that_is_none_is_not_json(elapsed: bytes) -> None:
    assert fault(200, body(elapsed=7).replace(b"7", elapsed), "gather", 2) == "200: the answer is not JSON"
