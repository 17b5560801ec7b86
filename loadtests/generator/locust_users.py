"""Users of a locustfile of somebody's own: Locust's classes as they are, told where to go, and recorded.

Locust says of a request only when it has ended. So when the window closes users finish what they have begun.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import gevent
from locust import User, events
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.exception import CatchResponseError
from locust.runners import WorkerNode
from locust.util.load_locustfile import load_locustfile
from requests.exceptions import ConnectionError as NotConnected
from requests.exceptions import HTTPError, Timeout

from loadtests.errors import BadInput
from loadtests.generator.record import Recorder
from loadtests.generator.users import LONGEST_WAIT, broken
from loadtests.model.measurement import NO_ANSWER
from loadtests.model.share import Share
from loadtests.model.target import Target

FILE = "locustfile.py"  # in the run's folder
ALONE = 5.0  # seconds for which a user of each class is watched
FEWEST = 3  # requests of theirs


@dataclass
class Locustfile:
    """The classes of a locustfile, and the rows of which nothing but the status is checked."""

    classes: dict[str, type[User]]
    by_status: set[str] = field(default_factory=set)

    paths = ()  # not known before they are asked for

    @property
    def words(self) -> str:
        return f"users of {', '.join(self.classes)}"


def read(folder: Path) -> Locustfile | None:
    """Return the locustfile in the run's folder; None without one. Raises BadInput where it cannot be used."""
    if not (folder / FILE).exists():
        return None
    try:
        classes, shapes = load_locustfile(str(folder / FILE))
    except (Exception, SystemExit) as error:
        raise BadInput(f"LOCUSTFILE cannot be imported: {error!r:.300}. It has Locust's packages alone") from error
    if not classes:
        raise BadInput("LOCUSTFILE has no user class: write one that Locust can start, as class Visitor(HttpUser)")
    if shapes:
        raise BadInput("LOCUSTFILE has a LoadTestShape, and the lab decides the load: remove it, and set USERS=")
    file = Locustfile(classes)
    watch_checks(file.by_status)
    return file


def watch_checks(by_status: set[str]) -> None:
    """Note the rows of requests whose answers the locustfile does not look at."""
    for session in (HttpSession, FastHttpSession):
        request = session.request

        def watched(self: Any, method: str, url: str, *args: Any, _request: Any = request, **options: Any) -> Any:
            if not options.get("catch_response"):
                by_status.add(f"{method} {options.get('name') or url}")
            return _request(self, method, url, *args, **options)

        session.request = watched  # type: ignore[method-assign]


class LocustUsers:
    """So many users of a locustfile (a closed loop)."""

    lateness = None

    def __init__(self, file: Locustfile, target: Target, number: int, recorder: Recorder, share: Share) -> None:
        numbers = dealt(file, number, share)
        classes = [sent_to(file.classes[name], target, of_class) for name, of_class in numbers.items()]
        self._environment = Environment(user_classes=classes, events=events, host=target.url)
        self._runner = self._environment.create_local_runner()
        self._environment.stop_timeout = LONGEST_WAIT
        self._number = numbers.total()
        self._recorder = recorder

    @property
    def starting(self) -> int:
        return self._number - int(self._runner.user_count)

    @property
    def unfinished(self) -> int:
        """Return how many users have not finished what they began before they were told to stop."""
        return int(self._runner.user_count)

    def start(self) -> None:
        events.request.add_listener(self._record)  # type: ignore[no-untyped-call]
        self._runner.start(self._number, spawn_rate=self._number)

    def begin(self) -> None:
        """They ask as soon as they have started."""

    def stop(self) -> None:
        gevent.spawn(self._runner.stop)

    def quit(self) -> None:
        for _ in range(self.unfinished):  # whatever they wait for did not come
            self._recorder.begin(time.perf_counter() - LONGEST_WAIT)
        self._environment.stop_timeout = 0
        self._runner.quit()
        events.request.remove_listener(self._record)  # type: ignore[no-untyped-call]

    def _record(self, *, request_type: str, name: str, response_time: float, exception: Any, **_: Any) -> None:
        number = self._recorder.begin(time.perf_counter() - response_time / 1000)
        self._recorder.end(number, fault(exception), f"{request_type} {name}")


def fault(exception: Exception | None) -> str | None:
    """Return why the request failed, as the locustfile or Locust says it; None if it did not."""
    if exception is None:
        return None
    if isinstance(exception, NotConnected | Timeout):
        return f"{NO_ANSWER}: {type(exception).__name__}"
    answered = isinstance(exception, CatchResponseError | HTTPError)
    return (None if answered else broken(exception)) or str(exception)[:200] or repr(exception)


def dealt(file: Locustfile, users: int, share: Share) -> Counter[str]:
    """Return how many users of each class are this generator's, of those that Locust would start by itself."""
    alone = UsersDispatcher([WorkerNode("alone")], list(file.classes.values()))
    alone.new_dispatch(users, users)
    [numbers] = [of_class["alone"] for of_class in alone]
    return Counter(share.dealt(Counter(numbers).elements()))


def sent_to(user_class: type[User], target: Target, number: int) -> type[User]:
    """Return the class, for so many users, with the target's address.

    Its requests name the host that the project accepts.
    """

    class Sent(user_class):  # type: ignore[valid-type, misc]
        host = target.url
        fixed_count = number

        def __init__(self, environment: Environment) -> None:
            super().__init__(environment)
            client = getattr(self, "client", None)
            if isinstance(client, HttpSession):
                client.headers["Host"] = os.environ["APP_HOST"]
            elif isinstance(client, FastHttpSession):
                client.client.default_headers["Host"] = os.environ["APP_HOST"]

    Sent.__name__ = user_class.__name__
    return Sent


def watch_one(file: Locustfile, target: Target) -> tuple[float, float, int]:
    """Let a user of each class go on for a few seconds; return the mean seconds of a request and between two of a user,
    and the number of requests.

    Raises BadInput where its requests fail, or where it makes hardly any.
    """
    recorder = Recorder()
    number = len(file.classes)  # one of each, as far as their weights let Locust
    users = LocustUsers(file, target, number, recorder, Share())
    recorder.open()
    users.start()
    try:
        deadline = time.perf_counter() + LONGEST_WAIT
        gevent.sleep(ALONE)
        while len(recorder.ended) < FEWEST and time.perf_counter() < deadline:
            gevent.sleep(0.1)
        seconds = recorder.seconds
    finally:
        users.quit()
    if len(recorder.ended) < FEWEST:
        raise BadInput(f"LOCUSTFILE: a user made fewer than {FEWEST} requests in {LONGEST_WAIT:g} s: let it wait less")
    if failed := [one for one in recorder.ended if one]:
        raise BadInput(f"LOCUSTFILE: a request of one user failed at {target.name}: {failed[0]}")
    took = mean(page.took for page in recorder.log)
    return took, max(0.0, number * seconds / len(recorder.ended) - took), len(recorder.ended)


def notes(file: Locustfile) -> Iterator[str]:
    if file.by_status:
        yield (
            f"Checked by their status alone: {', '.join(sorted(file.by_status))}. A page that fails with status 200 "
            "counts as whole there: use catch_response."
        )
