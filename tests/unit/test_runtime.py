from __future__ import annotations

import pytest

from loadtests.runtime import plain, port_variable, required, without_password


def test_a_services_port_has_a_variable_that_a_shell_can_set() -> None:
    assert port_variable("wsgi-database") == "WSGI_DATABASE_PORT"


def test_a_service_waits_for_what_it_requires() -> None:
    assert required(["api"]) == ["api"]
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


def test_quoted_log_lines_hold_nothing_that_only_a_terminal_understands() -> None:
    log = "old\n\x1b[2K\rbuilding 1\rbuilding \x1b[1;31mfailed\x1b[0m  \n\n\x1b]0;title\x07why \x07\n"
    assert plain(log, lines=2) == "building failed\nwhy"
