"""Row 36 of docs/method.md: a ratio that whoever chose the parameters has chosen."""

from __future__ import annotations

import pytest

from loadtests.model.load_level import LoadLevel
from loadtests.results.summary import summarize
from tests.unit.factories import ASGI, SETTINGS, WSGI, good_run, measured, run


def test_the_verdict_says_what_the_ratio_is_made_of() -> None:
    """At 200 users it would be 20 times as many, on the same servers."""
    said = summarize(good_run())["verdict"]["sentence"]
    assert "times as many" in said
    assert said.endswith("Without think time the ratio is users / slots (10.0 here) until CPU limits it.")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (LoadLevel(users=600, think=5.0), "Users think for 5 s between pages"),
        (LoadLevel(rate=97), "pages/s predicted)."),
    ],
)
def test_where_users_think_or_pages_arrive_it_is_made_of_something_else(step: LoadLevel, said: str) -> None:
    both = (measured(WSGI, step, 10.0, took=5.0), measured(ASGI, step, 97.0, settings=SETTINGS))
    sentence = summarize(run(*both))["verdict"]["sentence"]
    assert said in sentence
    assert "users / slots" not in sentence
