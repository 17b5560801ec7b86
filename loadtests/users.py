"""One Locust user per target. An answer that is not a whole page counts as a failure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import gevent
from locust import FastHttpUser, task

from loadtests import knobs, page
from loadtests.targets import Target

PATIENCE = 1200.0  # seconds; longer than the slowest page, so that the target decides and not the user
PAUSE_AFTER_FAILURE = 0.5  # seconds; a target that fails at once must not be asked as fast as it fails


class PageUser(FastHttpUser):
    """Asks its target for one page after the other, without think time (a closed loop)."""

    abstract = True
    target: Target
    first_page_after: Iterator[float] = repeat(0.0)  # seconds, one value for each user that starts
    network_timeout = PATIENCE
    connection_timeout = PATIENCE

    def on_start(self) -> None:
        gevent.sleep(next(self.first_page_after))

    @task
    def page(self) -> None:
        options = self.environment.parsed_options
        wanted = knobs.settings({knob.name: str(getattr(options, knob.name)) for knob in knobs.KNOBS})
        strategy = knobs.strategy_for(options.strategy, self.target.interface)
        url = f"{self.target.url}{self.target.paths[strategy]}?{wanted.query}"
        name = f"{self.target.name}: {strategy}"
        with self.client.get(url, name=name, catch_response=True) as response:
            fault = page.fault(response.status_code, response.content, strategy, wanted.fan_out)
            if fault:
                response.failure(fault)
        if fault:
            gevent.sleep(PAUSE_AFTER_FAILURE)


def user_class(target: Target, **attributes: Any) -> type[PageUser]:
    """For the target `wsgi` a class WsgiUser, as the class picker shows it."""
    attributes |= {"target": target, "host": target.url, "abstract": False}
    return type(f"{target.name.capitalize()}User", (PageUser,), attributes)
