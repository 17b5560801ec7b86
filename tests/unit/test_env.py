from __future__ import annotations

import pytest

from services import env


def test_a_missing_variable_stops_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THREADS", raising=False)
    with pytest.raises(SystemExit, match="THREADS is not set; compose"):
        env.whole("THREADS", 0, 10)


@pytest.mark.parametrize("value", ["", "ten", "-1", "11", "1.5", "nan"])
def test_a_bad_variable_stops_the_start_and_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADS", value)
    with pytest.raises(SystemExit, match="THREADS"):
        env.whole("THREADS", 0, 10)


def test_a_choice_that_is_not_one_stops_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDDLEWARE_SET", "all")
    with pytest.raises(SystemExit, match="MIDDLEWARE_SET must be lab or none; it is 'all'"):
        env.choice("MIDDLEWARE_SET", ("lab", "none"))


def test_a_good_variable_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADS", " 10 ")
    assert env.whole("THREADS", 0, 10) == 10
