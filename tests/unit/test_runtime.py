from __future__ import annotations

import os

import pytest

from loadtests.host.runtime import plain, port_variable, terminal_environment, without_password
from loadtests.host.topology import required


def test_a_services_port_has_a_variable_that_a_shell_can_set() -> None:
    assert port_variable("wsgi-database") == "WSGI_DATABASE_PORT"


def test_a_service_waits_for_what_it_requires() -> None:
    assert required({"api": {"condition": "service_healthy"}, "postgres": {"required": False}}) == ["api"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://me:secret@db:5432/pages", "postgres://me:…@db:5432/pages"),
        ("postgres://me:se@cret@db:5432/pages", "postgres://me:…@db:5432/pages"),
        ("postgres://me:se:c/r@e#t?@db:5432/pages", "postgres://me:…@db:5432/pages"),
        ("postgres://me:se cret@db:5432/pages", "postgres://me:…@db:5432/pages"),
        ("postgres://me@work:secret@db:5432/pages", "postgres://me@work:…@db:5432/pages"),
        ("postgres://me:se@cret@db/a http://me:s@b/", "postgres://me:…@db/a http://me:…@b/"),
        ("postgres://me@db:5432/pages", "postgres://me@db:5432/pages"),
        ("sqlite:////tmp/lab.sqlite3", "sqlite:////tmp/lab.sqlite3"),
        ("wsgi=http://wsgi:8000 asgi=http://asgi:8000", "wsgi=http://wsgi:8000 asgi=http://asgi:8000"),
    ],
)
def test_a_password_is_not_kept_with_a_result(url: str, shown: str) -> None:
    assert without_password({"URL": url}) == {"URL": shown}


def test_the_login_of_the_web_ui_is_not_kept_with_a_result() -> None:
    assert without_password({"LOCUST_LOGIN": "speaker:pass:word"}) == {"LOCUST_LOGIN": "speaker:…"}
    assert without_password({"LOCUST_LOGIN": ""}) == {"LOCUST_LOGIN": ""}


def test_the_token_of_the_load_generators_is_not_kept_with_a_result() -> None:
    """Whoever reads the manifest while the run goes on could speak for one of them."""
    assert without_password({"GENERATOR_TOKEN": "secret", "SEED": "1"}) == {"SEED": "1"}


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("os.isatty", lambda _: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return monkeypatch


def test_a_terminal_that_does_not_know_its_size_gives_none(at_a_terminal: pytest.MonkeyPatch) -> None:
    at_a_terminal.setattr("os.get_terminal_size", lambda _: os.terminal_size((0, 0)))
    assert not terminal_environment().keys() & {"COLUMNS", "LINES"}
    at_a_terminal.setattr("os.get_terminal_size", lambda _: os.terminal_size((40, 24)))
    assert (terminal_environment()["COLUMNS"], terminal_environment()["LINES"]) == ("40", "24")


def test_who_wants_no_colours_gets_none_inside_the_lab_either(at_a_terminal: pytest.MonkeyPatch) -> None:
    at_a_terminal.setattr("os.get_terminal_size", lambda _: os.terminal_size((80, 24)))
    assert "NO_COLOR" not in terminal_environment()
    at_a_terminal.setenv("NO_COLOR", "1")
    assert terminal_environment()["NO_COLOR"] == "1"


def test_quoted_log_lines_hold_nothing_that_only_a_terminal_understands() -> None:
    log = "old\n\x1b[2K\rbuilding 1\rbuilding \x1b[1;31mfailed\x1b[0m  \n\n\x1b]0;title\x07why \x07\n"
    assert plain(log, lines=2) == "building failed\nwhy"
