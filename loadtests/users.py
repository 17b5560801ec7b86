"""One Locust user per target, and the two ways to load it. An answer that is not a whole page counts as a failure."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import Any, cast

import gevent
from gevent.pool import Group
from locust import FastHttpUser, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS
from locust.env import Environment

from loadtests import knobs, page
from loadtests.record import Recorder
from loadtests.step import PATIENCE, PAUSE_AFTER_FAILURE
from loadtests.targets import Target

MOST_WAITING = 10_000  # pages of an open loop, each with a connection of its own
LONGEST_WAIT = 120.0  # seconds from the last arrival until every page has to have ended
UNANSWERED = f"no answer within {LONGEST_WAIT:g} s of the last arrival"
NOT_SENT = f"not sent: {MOST_WAITING:,} pages waited already"

turned = attrgetter("strategy", *(knob.name for knob in knobs.KNOBS))


@dataclass(frozen=True, slots=True)
class Request:
    """A page to ask for, the row of Locust's statistics it belongs to, and what makes it whole."""

    url: str
    row: str
    strategy: str
    fan_out: int


class PageUser(FastHttpUser):
    """Asks its target for one page after the other, without think time (a closed loop)."""

    abstract = True
    target: Target
    first_page_after: Iterator[float] = repeat(0.0)  # seconds, one value for each user that starts
    query = ""  # added to what its pages ask for
    method = "GET"
    first_byte: Callable[[float], None] | None = None  # told the seconds to the first byte of a page that is streamed
    pause_after_failure = PAUSE_AFTER_FAILURE
    network_timeout = PATIENCE
    connection_timeout = PATIENCE

    _asked: tuple[Any, ...] | None = None
    _wanted: Request

    def on_start(self) -> None:
        gevent.sleep(next(self.first_page_after))

    @task
    def page(self) -> None:
        if self.ask():
            gevent.sleep(self.pause_after_failure)

    def ask(self) -> str | None:
        """One page; why it is not whole, or None."""
        wanted = self._request()
        if self.first_byte is not None:
            return self._ask_streamed(wanted, self.first_byte)
        with self.client.request(self.method, wanted.url, name=wanted.row, catch_response=True) as response:
            fault = page.fault(response.status_code, response.content, wanted.strategy, wanted.fan_out)
            if fault:
                response.failure(fault)
        return fault

    def _ask_streamed(self, wanted: Request, first_byte: Callable[[float], None]) -> str | None:
        """The response time still counts to the last byte; what breaks off before it is no answer."""
        asked = time.perf_counter()
        with self.client.request(
            self.method, wanted.url, name=wanted.row, catch_response=True, stream=True
        ) as response:
            status, body = response.status_code, b""
            try:
                if status and (body := response.stream.read(1)):
                    first_byte(time.perf_counter() - asked)
                    body += response.stream.read()
            except FAILURE_EXCEPTIONS:  # which Locust catches only before the headers' end
                status = 0
            fault = page.fault(status, body, wanted.strategy, wanted.fan_out)
            response.request_meta["response_time"] = (time.perf_counter() - asked) * 1000
            if fault:
                response.failure(fault)
        return fault

    def _request(self) -> Request:
        """Made anew only when a knob was turned: the web UI's form can do so between two pages."""
        options = self.environment.parsed_options
        asked = turned(options)
        if asked != self._asked:
            self._asked, self._wanted = asked, request(self.target, options, self.query)
        return self._wanted


def request(target: Target, options: Any, query: str = "") -> Request:
    """What the options ask of this target. Raises BadInput."""
    wanted = knobs.settings({knob.name: str(getattr(options, knob.name)) for knob in knobs.KNOBS})
    strategy = knobs.strategy_for(options.strategy, target.interface)
    url = f"{target.url}{target.paths[strategy]}?{wanted.query}{query}"
    return Request(url, f"{target.name}: {strategy}", strategy, wanted.fan_out)


def user_class(target: Target, **attributes: Any) -> type[PageUser]:
    """For the target `wsgi` a class WsgiUser, as the class picker shows it."""
    attributes |= {"target": target, "host": target.url, "abstract": False}
    return type(f"{target.name.capitalize()}User", (PageUser,), attributes)


# --- closed and open loop ---------------------------------------------------------------------


class Users:
    """So many users, each with one page at a time (a closed loop)."""

    lateness = None
    waiting = 0

    def __init__(self, environment: Environment, number: float, recorder: Recorder) -> None:
        self._number = int(number)
        self._runner = environment.create_local_runner()

        def page_ended(response_time: float, exception: Exception | None, **_: Any) -> None:
            recorder.page(response_time / 1000, str(exception) if exception else None)

        environment.events.request.add_listener(page_ended)  # type: ignore[no-untyped-call]

    def start(self) -> None:
        self._runner.start(self._number, spawn_rate=self._number)

    def stop(self) -> None:
        """Nobody asks for more; pages that are under way are nobody's concern."""
        self._runner.quit()

    quit = stop


class Arrivals:
    """Pages asked for at equal intervals, whether or not the target keeps up (an open loop).

    Response time counts from when a page was due, so nothing that holds up the load generator or the target is
    left out. A page takes a connection that is free, or opens one.
    """

    def __init__(self, environment: Environment, rate: float, recorder: Recorder) -> None:
        self._environment = environment
        self._user_class = cast("type[PageUser]", environment.user_classes[0])
        self._rate = rate  # pages/s
        self._recorder = recorder
        self._idle: list[PageUser] = []
        self._due: set[float] = set()  # moments of time.perf_counter(), of the pages that have not ended
        self._late: list[float] = []  # seconds from being due to being sent, in the window
        self._pages = Group()
        self._schedule: gevent.Greenlet | None = None

    @property
    def waiting(self) -> int:
        """Pages that arrived in the window and have not ended."""
        return sum(map(self._recorder.within, self._due))

    @property
    def lateness(self) -> float | None:
        """Seconds by which 99 % of the window's pages were sent later than they were due, at the most."""
        return sorted(self._late)[math.ceil(0.99 * len(self._late)) - 1] if self._late else None

    def start(self) -> None:
        self._schedule = gevent.spawn(self._arrive)

    def stop(self) -> None:
        """No more arrivals; those that have come go on."""
        if self._schedule is not None:
            self._schedule.kill()

    def quit(self) -> None:
        """What has not ended is a failure."""
        self.stop()
        unanswered = sorted(self._due)
        self._due.clear()
        self._pages.kill()
        for due in unanswered:
            self._recorder.arrival(due, UNANSWERED)

    def _arrive(self) -> None:
        begun = time.perf_counter()
        for number in itertools.count():
            due = begun + number / self._rate
            gevent.sleep(max(0.0, due - time.perf_counter()))
            if len(self._due) < MOST_WAITING:
                self._due.add(due)
                self._pages.start(gevent.Greenlet(self._ask, due))
            else:
                self._recorder.arrival(due, NOT_SENT)

    def _ask(self, due: float) -> None:
        if self._recorder.within(due):
            self._late.append(time.perf_counter() - due)
        user = self._idle.pop() if self._idle else self._user_class(self._environment)
        fault = user.ask()
        if due in self._due:
            self._due.remove(due)
            self._recorder.arrival(due, fault)
        self._idle.append(user)
