"""One Locust user per target. An answer that is not a whole page counts as a failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import Any

import gevent
from locust import FastHttpUser, task

from loadtests import knobs, page
from loadtests.targets import Target

PATIENCE = 1200.0  # seconds; longer than the slowest page, so that the target decides and not the user
PAUSE_AFTER_FAILURE = 0.5  # seconds; a target that fails at once must not be asked as fast as it fails

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
    network_timeout = PATIENCE
    connection_timeout = PATIENCE

    _asked: tuple[Any, ...] | None = None
    _wanted: Request

    def on_start(self) -> None:
        gevent.sleep(next(self.first_page_after))

    @task
    def page(self) -> None:
        wanted = self._request()
        with self.client.get(wanted.url, name=wanted.row, catch_response=True) as response:
            fault = page.fault(response.status_code, response.content, wanted.strategy, wanted.fan_out)
            if fault:
                response.failure(fault)
        if fault:
            gevent.sleep(PAUSE_AFTER_FAILURE)

    def _request(self) -> Request:
        """Made anew only when a knob was turned: the web UI's form can do so between two pages."""
        options = self.environment.parsed_options
        asked = turned(options)
        if asked != self._asked:
            self._asked, self._wanted = asked, request(self.target, options)
        return self._wanted


def request(target: Target, options: Any) -> Request:
    """What the options ask of this target. Raises BadInput."""
    wanted = knobs.settings({knob.name: str(getattr(options, knob.name)) for knob in knobs.KNOBS})
    strategy = knobs.strategy_for(options.strategy, target.interface)
    url = f"{target.url}{target.paths[strategy]}?{wanted.query}"
    return Request(url, f"{target.name}: {strategy}", strategy, wanted.fan_out)


def user_class(target: Target, **attributes: Any) -> type[PageUser]:
    """For the target `wsgi` a class WsgiUser, as the class picker shows it."""
    attributes |= {"target": target, "host": target.url, "abstract": False}
    return type(f"{target.name.capitalize()}User", (PageUser,), attributes)
