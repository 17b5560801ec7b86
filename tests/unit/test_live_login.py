from __future__ import annotations

import pytest

from loadtests.errors import BadInput
from loadtests.live.login import Login


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
