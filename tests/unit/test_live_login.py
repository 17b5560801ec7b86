from __future__ import annotations

from contextlib import ExitStack

import pytest

from loadtests.errors import BadInput
from loadtests.live.login import MOST_GUESSES, Guesses, Login


def test_a_login_is_a_name_and_a_password_which_may_hold_a_colon() -> None:
    assert Login.parse("speaker:pass:word") == Login("speaker", "pass:word")
    assert Login.parse("") is None


@pytest.mark.parametrize("text", ["speaker", ":password1", "speaker:", "speaker:short", ":"])
def test_anything_else_is_refused_without_repeating_the_password(text: str) -> None:
    with pytest.raises(BadInput, match="LOCUST_LOGIN must be a name, a colon and a password of 8") as refused:
        Login.parse(text)
    assert "short" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "password"), [("speaker", "wrong"), ("", ""), ("someone", "a-long-password"), ("speaker", "pässword")]
)
def test_only_the_name_with_its_password_is_let_in(name: str, password: str) -> None:
    login = Login("speaker", "a-long-password")
    assert not login.matches(name, password)
    assert login.matches("speaker", "a-long-password")


def test_an_address_guesses_once_at_a_time_and_keeps_no_other_out() -> None:
    guesses = Guesses()
    with guesses.turn("192.0.2.1") as first:
        assert first
        with guesses.turn("192.0.2.1") as beside:
            assert not beside
        with guesses.turn("192.0.2.2") as another:
            assert another
        with guesses.turn("192.0.2.1") as still_beside:
            assert not still_beside, "who was told to wait has not ended the turn"
    with guesses.turn("192.0.2.1") as later:
        assert later


def test_many_addresses_guess_no_more_often_than_so_many_at_once() -> None:
    guesses = Guesses()
    with ExitStack() as stack:
        turns = [stack.enter_context(guesses.turn(f"192.0.2.{number}")) for number in range(MOST_GUESSES + 5)]
    assert turns == [True] * MOST_GUESSES + [False] * 5
    with guesses.turn("192.0.2.99") as later:
        assert later
