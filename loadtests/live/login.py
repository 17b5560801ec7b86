"""A name and a password before the web UI, for whoever publishes it further than this machine: Locust's own login."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

import gevent
from flask import redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import UserMixin, login_user

from loadtests.errors import BadInput
from loadtests.model.knobs import LOGIN

SHORTEST = 8  # characters of a password
PAUSE = 1.0  # seconds before a wrong password is answered, so that guessing takes its time
MOST_GUESSES = 10  # that are answered at once, from all addresses together


@dataclass(frozen=True, slots=True)
class Login(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    name: str
    password: str

    def get_id(self) -> str:
        return self.name

    @classmethod
    def parse(cls, text: str) -> Login | None:
        """Parse 'name:password'; None from an empty text. Raises BadInput, which does not repeat the password."""
        if not text:
            return None
        name, _, password = text.partition(":")
        if not name or len(password) < SHORTEST:
            raise BadInput(f"{LOGIN} must be a name, a colon and a password of {SHORTEST} characters or more")
        return cls(name, password)

    def matches(self, name: str, password: str) -> bool:
        """Compare both, and take as long whichever of them is wrong."""
        right_name = compare_digest(name.encode(), self.name.encode())
        return compare_digest(password.encode(), self.password.encode()) and right_name


class Guesses:
    """Limit guesses to one at a time for each address, and to MOST_GUESSES at a time for all addresses.

    A guess that arrives during another guess of its address is refused, and its password is not compared: parallel
    requests guess no faster. So an attacker locks out nobody at another address, and no session that is open.
    """

    def __init__(self) -> None:
        self._guessing: set[str] = set()

    @contextmanager
    def turn(self, address: str) -> Iterator[bool]:
        """Yield whether the address may guess now; its turn lasts until the context ends."""
        if address in self._guessing or len(self._guessing) >= MOST_GUESSES:
            yield False
            return
        self._guessing.add(address)
        try:
            yield True
        finally:
            self._guessing.remove(address)


def protect(web_ui: Any, login: Login) -> None:
    """Protect a web UI that was started with --web-login. After a restart everybody has to log in again."""
    web_ui.app.secret_key = secrets.token_hex()
    web_ui.app.config["SESSION_COOKIE_SAMESITE"] = "Strict"
    path = f"{web_ui.environment.parsed_options.web_base_path or ''}/log-in"
    web_ui.auth_args = {"username_password_callback": path}
    guesses = Guesses()

    @web_ui.login_manager.user_loader  # type: ignore[untyped-decorator]
    def user(name: str) -> Login | None:
        return login if name == login.name else None

    @web_ui.app.post(path)  # type: ignore[untyped-decorator]
    def log_in() -> ResponseReturnValue:
        with guesses.turn(request.remote_addr or "") as may_guess:
            if not may_guess:
                session["auth_error"] = "Somebody at this address is logging in. Wait a second, then try again."
                return redirect(url_for("locust.login"))
            if login.matches(request.form.get("username", ""), request.form.get("password", "")):
                login_user(login)
                return redirect(url_for("locust.index"))
            gevent.sleep(PAUSE)
        session["auth_error"] = "This is not the name and the password."
        return redirect(url_for("locust.login"))
