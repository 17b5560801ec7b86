"""One Locust user per target, and the two ways to load it. An answer that is not a whole page counts as a failure."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from random import Random
from typing import Any, cast

import gevent
from gevent.event import Event
from gevent.pool import Group
from geventhttpclient import client as http_client
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from geventhttpclient.useragent import RetriesExceeded
from locust import FastHttpUser, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, LocustBadStatusCode
from locust.env import Environment

from loadtests.generator import page
from loadtests.generator.record import Recorder
from loadtests.generator.trace import Trace
from loadtests.model import knobs
from loadtests.model.load_level import PATIENCE, PAUSE_AFTER_FAILURE
from loadtests.model.measurement import NO_ANSWER
from loadtests.model.settings import Settings
from loadtests.model.target import Target

MOST_WAITING = 10_000  # pages of an open loop, each with a connection of its own
LONGEST_WAIT = 120.0  # seconds after the window until every page of it has to have ended
NOT_SENT = f"{NO_ANSWER}: not sent, {MOST_WAITING:,} pages waited already"

# How a connection fails, the more special first.
BROKEN: Mapping[type[Exception], str] = {
    ConnectionRefusedError: "the connection was refused",
    ConnectionResetError: "the connection was reset",
    BrokenPipeError: "the connection was reset",
    HTTPConnectionClosed: "the connection was closed before the answer",
    HTTPParseError: "the answer was cut off, or is not HTTP",
    TimeoutError: "the user's patience ended",
}

# The client would ask again by itself where a connection breaks before the first byte: two pages that look like one.
http_client._may_retry_after_send_error = lambda method: False  # noqa: ARG005, SLF001  # there is no option for it

# Locust warns of more than 100 users a second; here they wait until all of them are ready.
logging.getLogger("locust.runners").addFilter(lambda record: "spawn rate is very high" not in str(record.msg))

turned = attrgetter("strategy", *(knob.name for knob in knobs.KNOBS))


@dataclass(frozen=True, slots=True)
class Request:
    """A page to ask for, the row of Locust's statistics it belongs to, and what makes it whole."""

    url: str
    row: str
    strategy: str
    fan_out: int


class PageUser(FastHttpUser):
    """Asks its target for one page after the other, and thinks in between where it is told to (a closed loop)."""

    abstract = True
    target: Target
    think = 0.0  # seconds after a page, on average
    random = Random()
    first_page_after: Iterator[float] = repeat(0.0)  # seconds, one value for each user that starts
    query = ""  # added to what its pages ask for
    method = "GET"
    recorder: Recorder | None = None  # told of every page, and of the first byte of one that is streamed
    trace: Trace | None = None  # of one of its pages, or of another user's
    streams = False
    pause_after_failure = PAUSE_AFTER_FAILURE
    network_timeout = PATIENCE
    connection_timeout = PATIENCE

    page_name = ""  # of the page that it asked for last, where a project has several
    ready = 0  # users of the class that have nothing to do before their first page
    all_ready = Event()  # for which they wait
    all_ready.set()
    _asked: tuple[Any, ...] | None = None
    _current: Request

    def on_start(self) -> None:
        type(self).ready += 1
        self.all_ready.wait()
        gevent.sleep(next(self.first_page_after))

    @task
    def page(self) -> None:
        number = None if self.recorder is None else self.recorder.begin(time.perf_counter())
        fault = self.ask()
        if self.recorder is not None and number is not None:
            self.recorder.end(number, fault, self.page_name)
        if fault:
            gevent.sleep(self.pause_after_failure)
        if self.think:
            gevent.sleep(self.random.expovariate(1 / self.think))

    def ask(self) -> str | None:
        """Ask for one page; return why it is not whole, or None."""
        request, nonce = self._request(), secrets.token_urlsafe(12)
        url, asked, traced = f"{request.url}&page={nonce}", time.perf_counter(), self.traced()
        with self.client.request(
            self.method, url, name=request.row, catch_response=True, stream=self.streams, headers=traced
        ) as response:
            error, body = response.request_meta["exception"], b"" if self.streams else response.content
            if self.streams:
                try:
                    body = self._read(response, asked)
                except FAILURE_EXCEPTIONS as cut_off:  # which Locust catches only before the headers' end
                    error = cut_off
                response.request_meta["response_time"] = (time.perf_counter() - asked) * 1000
            fault = broken(error) or page.fault(response.status_code, body, request.strategy, request.fan_out, nonce)
            if fault:
                response.failure(fault)
        if traced and self.trace:
            self.trace.end(fault)
        return fault

    def traced(self) -> dict[str, str]:
        """Return the headers of the page that is asked for now: some if it is the one that is traced."""
        return self.trace.begin(self.recorder) if self.trace else {}

    def _read(self, response: Any, asked: float) -> bytes:
        """Return what was streamed: its response time ends with the last byte, and what breaks off is no answer."""
        if not response.status_code or not (first := response.stream.read(1)):
            return b""
        if self.recorder is not None:
            self.recorder.first_byte(time.perf_counter() - asked)
        return bytes(first + response.stream.read())

    def _request(self) -> Request:
        """Return the request, made anew only if a knob was turned: the web UI's form can do so between two pages."""
        options = self.environment.parsed_options
        asked = turned(options)
        if asked != self._asked:
            self._asked, self._current = asked, request(self.target, options, self.query)
        return self._current


def broken(error: Exception | None) -> str | None:
    """Return how the connection failed before the answer was whole; None if it did not."""
    if error is None or isinstance(error, LocustBadStatusCode):
        return None
    if isinstance(error, RetriesExceeded):  # it has the URL in its text, and what happened as a text alone
        return f"{NO_ANSWER}: {BROKEN[TimeoutError] if 'timed out' in error.kw_text else error.kw_text}"
    seen = (error.__context__, error)  # the client calls a reset a closed connection
    how = next((how for kind, how in BROKEN.items() if any(isinstance(one, kind) for one in seen)), repr(error))
    return f"{NO_ANSWER}: {how}"


def request(target: Target, options: Any, query: str = "") -> Request:
    """Return the request that the options ask of this target. Raises BadInput."""
    settings = Settings.parse({knob.name: str(getattr(options, knob.name)) for knob in knobs.KNOBS})
    strategy = knobs.strategy_for(options.strategy, target.interface)
    url = f"{target.url}{target.paths[strategy]}?{settings.query}{query}"
    return Request(url, f"{target.name}: {strategy}", strategy, settings.fan_out)


def user_class(target: Target, kind: type[PageUser] = PageUser, **attributes: Any) -> type[Any]:
    """Return a class of such users for a target: for `wsgi` WsgiUser, as the class picker shows it."""
    attributes |= {"target": target, "host": target.url, "abstract": False}
    return type(f"{target.name.capitalize()}User", (kind,), attributes)


# --- closed and open loop ---------------------------------------------------------------------


class Users:
    """So many users, each with one page at a time (a closed loop)."""

    lateness = None

    def __init__(self, environment: Environment, number: float, recorder: Recorder) -> None:
        self._number = int(number)
        self._class = cast("type[PageUser]", environment.user_classes[0])
        self._class.all_ready = Event()
        self._runner = environment.create_local_runner()

    def start(self) -> None:
        self._runner.start(self._number, spawn_rate=self._number)

    def begin(self) -> None:
        """Let all users ask for their first page: what they did before is not counted with it."""
        self._class.all_ready.set()

    unfinished = 0

    @property
    def starting(self) -> int:
        """Return how many users are not ready to ask for their first page."""
        return self._number - self._class.ready

    def stop(self) -> None:
        """Go on: whose page is still out would otherwise meet less load than everybody before."""

    def quit(self) -> None:
        self._runner.quit()


class Arrivals:
    """Pages asked for at given moments (seconds from now), whether or not the target keeps up (an open loop).

    Response time counts from when a page was due, so nothing that holds up the load generator or the target is
    left out. A page takes a connection that is free, or opens one.
    """

    def __init__(self, environment: Environment, moments: Iterator[float], recorder: Recorder) -> None:
        self._environment = environment
        self._user_class = cast("type[PageUser]", environment.user_classes[0])
        self._moments = moments
        self._recorder = recorder
        self._idle: list[PageUser] = []
        self._late: list[float] = []  # seconds from being due to being sent, in the window
        self._pages = Group()
        self._schedule: gevent.Greenlet | None = None

    @property
    def lateness(self) -> float | None:
        """Return the seconds by which 99 % of the window's pages were sent after they were due, at the most."""
        return sorted(self._late)[math.ceil(0.99 * len(self._late)) - 1] if self._late else None

    starting = unfinished = 0

    def start(self) -> None:
        """Nobody has to be ready."""

    def begin(self) -> None:
        self._schedule = gevent.spawn(self._arrive)

    def stop(self) -> None:
        """Let no more pages arrive; those that have arrived go on."""
        if self._schedule is not None:
            self._schedule.kill()

    def quit(self) -> None:
        self.stop()
        self._pages.kill()

    def _arrive(self) -> None:
        begun = time.perf_counter()
        for moment in self._moments:
            due = begun + moment
            gevent.sleep(max(0.0, due - time.perf_counter()))
            page_number = self._recorder.begin(due)
            if self._recorder.under_way <= MOST_WAITING:
                self._pages.start(gevent.Greenlet(self._ask, due, page_number))
            else:
                self._recorder.end(page_number, NOT_SENT)

    def _ask(self, due: float, page_number: int) -> None:
        if self._recorder.within(due):
            self._late.append(time.perf_counter() - due)
        user = self._idle.pop() if self._idle else self._user_class(self._environment)
        fault = user.ask()
        self._recorder.end(page_number, fault, user.page_name)
        self._idle.append(user)
