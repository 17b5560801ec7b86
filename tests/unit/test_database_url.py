from __future__ import annotations

import pytest

from services.database_url import parse
from services.env import BadEnvironment


def test_sqlite_is_a_file() -> None:
    assert parse("sqlite:////tmp/a%20lab.sqlite3", 5, 2) == {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "/tmp/a lab.sqlite3",  # noqa: S108  # parsed, not written
    }
    assert parse("sqlite:///here.sqlite3", 5, 2)["NAME"] == "here.sqlite3"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_comes_with_a_pool(scheme: str) -> None:
    assert parse(f"{scheme}://me:p%40ss@db.example:6543/pages", 5, 2) == {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "db.example",
        "PORT": 6543,
        "NAME": "pages",
        "USER": "me",
        "PASSWORD": "p@ss",
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 5, "timeout": 2}},
    }


def test_what_a_postgresql_url_may_leave_out() -> None:
    found = parse("postgres://db/pages", 5, 2)
    assert (found["PORT"], found["USER"], found["PASSWORD"]) == (5432, "", "")


@pytest.mark.parametrize(
    "url",
    [
        "lab.sqlite3",
        "mysql://me@db/pages",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://tmp/lab.sqlite3",
        "postgres:///pages",
        "postgres://me@db",
        "postgres://me@db:port/pages",
        "postgres://me@db:70000/pages",
        "postgres://me@db/pages?sslmode=require",
    ],
)
def test_any_other_url_stops_the_start_and_is_named(url: str) -> None:
    with pytest.raises(SystemExit, match="DATABASE_URL must be like sqlite:////absolute/path or postgres://"):
        parse(url, 5, 2)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:secret@db:port/pages",
        "postgres://me:secret/x@db/pages",
        "postgres://me:secret#x@db/pages",
        "postgres://me:secret?x@db/pages",
        "postgres://me:secret[x@db/pages",
        "postgres://me:[secret]@db/pages",
        "postgres://me:secret\N{FULLWIDTH SOLIDUS}x@db/pages",
        "postgres://me:1/secret@db/pages",
    ],
)
def test_a_refusal_keeps_the_password_to_itself_and_says_how_to_write_it(url: str) -> None:
    with pytest.raises(BadEnvironment, match="percent-encode") as refused:
        parse(url, 5, 2)
    assert "secret" not in str(refused.value)
