"""Users of somebody's own project, and what its pages take when one user asks for them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from statistics import fmean, mean, median
from typing import Any

from locust.env import Environment
from locust.exception import CatchResponseError

from loadtests.analysis.own_project import cookies, facts, findings, hint
from loadtests.analysis.readings import grown
from loadtests.errors import BadInput
from loadtests.generator import locust_users, sampler, users
from loadtests.generator.locust_users import Locustfile
from loadtests.generator.users import PageUser, broken
from loadtests.model import knobs, workload
from loadtests.model.experiment import Experiment
from loadtests.model.load_level import shaped
from loadtests.model.target import Target
from loadtests.model.workload import OwnPage, Workload

Project = Workload | Locustfile  # what users of somebody's own project do
PAGES = "pages.toml"  # in the run's folder
SETS_COOKIE = "set-cookie"
CSRF_COOKIE = "csrftoken"
FIRST_PAGES, FIRST_SECONDS = 5, 4.0  # of each page that is asked for before the load: so many, for so long


class OwnUser(PageUser):
    """Asks for the pages of a project, each as often as its weight says; logs in first where there is a setup.

    Cookies are kept whatever domain and protocol they are for: the load comes by another address than the project's.
    """

    abstract = True
    workload: Workload
    host_header = ""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._cookies: dict[str, str] = {}
        self.unready: str | None = "it was not set up"  # why it cannot ask for a page; None where it can
        self.client.cookiejar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def on_start(self) -> None:
        self.set_up()
        super().on_start()

    def set_up(self) -> None:
        """Do what a user does once. Where it fails each of the user's pages fails for that reason."""
        faults = ((page.name, self.ask_for(page)) for page in self.workload.setup)
        self.unready = next((f"setup {name}: {fault}" for name, fault in faults if fault), None)

    def ask(self) -> str | None:
        page = self.workload.one(self.random, getattr(self.environment.parsed_options, "strategy", None))
        self.page_name = page.name
        if self.unready:
            self.environment.events.request.fire(
                request_type=page.method,
                name=self.row(page),
                response_time=0,
                response_length=0,
                exception=CatchResponseError(self.unready),
            )
        return self.unready or self.ask_for(page)

    def row(self, page: OwnPage) -> str:
        """Return the page's row in Locust's statistics; what a user does once is no page of the target."""
        return f"{self.target.name}{' setup' if page in self.workload.setup else ''}: {page.name}"

    def ask_for(self, page: OwnPage) -> str | None:
        """Ask for this page; return why the answer is not whole, or None."""
        path, headers, body = page.filled(self.random, self._cookies.get(CSRF_COOKIE, ""))
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        traced = self.traced()
        with self.client.request(
            page.method,
            self.target.url + path,
            name=self.row(page),
            headers={"Host": self.host_header, **headers, **traced},
            data=body or None,
            catch_response=True,
            allow_redirects=False,  # a page is one request; where it leads to is another
        ) as response:
            error, content = response.request_meta["exception"], response.content or b""
            fault = broken(error) or page.check.fault(response.status_code, content)
            if fault:
                response.failure(fault)
            else:
                response.success()  # also where another status than 200 was asked for
        if traced and self.trace:
            self.trace.end(fault)
        if response.headers and SETS_COOKIE in response.headers:
            self._cookies = cookies(self._cookies, response.headers.getlist(SETS_COOKIE))
        return fault


def project_in(folder: Path) -> Project | None:
    """Return what users of a project do, as the run's folder has it; None for the lab's own pages. Raises BadInput."""
    pages = folder / PAGES
    return project_at(pages) if pages.exists() else locust_users.read(folder)


def project_at(pages: Path) -> Workload:
    """Return what users do, as a file pages.toml has it. Raises BadInput."""
    return workload.of_file(pages.read_bytes(), PAGES)


def measured_alone(
    experiment: Experiment, targets: Mapping[str, Target], project: Project
) -> tuple[Experiment, list[str]]:
    """Return the experiment with what a page of each arm takes for one user, and what a reader should know of it.

    Raises BadInput where a page is not whole.
    """
    notes = [*facts(next(iter(targets.values())).identity.get("project"))]
    arms, thinks = [], []
    for arm in experiment.arms:
        target = targets[arm.target]
        breaks = dict(arm.breaks)
        if "image" in target.identity.get("project", {}):
            breaks["pages"] = "nothing counts inside an image of somebody's own"
        if isinstance(project, Workload):
            wait, found = alone(target, project)
            notes += found
        else:
            wait, think = alone_in_locust(target, project)
            thinks.append(think)
            breaks |= dict.fromkeys(("pages", "users"), "Locust's users say what has ended alone")
        arms.append(replace(arm, knobs={**arm.knobs, "latency": wait}, breaks=breaks))
    if isinstance(project, Locustfile):
        if any(level.is_open for level in experiment.levels):
            raise BadInput("RATE has no users, and LOCUSTFILE describes users: set USERS=")
        experiment = replace(experiment, levels=shaped(experiment.levels, round(mean(thinks), 2), ""))
    return replace(experiment, arms=tuple(arms)), notes


def unanswered(targets: Mapping[str, Target]) -> list[str]:
    """Say which calls of the project no upstream answered since the service was started."""
    reading = sampler.read(next(iter(targets.values())).api_metrics)
    calls = reading.by_label("lab_calls_unanswered_total", "call") if reading else {}
    if not calls:
        return []
    named = ", ".join(f"{call} ({number:.0f} times)" for call, number in sorted(calls.items()))
    return [f"No upstream answers these calls, so they got a 502: {named}. Describe them in UPSTREAMS."]


def help_with(target: Target, fault: str) -> str:
    """Return what may help against a fault, and above all which calls had no answer."""
    return " ".join(unanswered({target.name: target}) or [hint(target.identity.get("project", {}), fault)])


def alone_in_locust(target: Target, file: Locustfile) -> tuple[float, float]:
    """Return the seconds that a request of one user waits without its CPU, and that the user waits between two."""
    before = sampler.read(target.metrics)
    took, think, number = locust_users.watch_one(file, target)
    cpu = (grown(before, sampler.read(target.metrics), "lab_cpu_seconds_total") or 0.0) / number
    return max(0.0, took - cpu), think


def user_class(target: Target, workload: Workload, **attributes: Any) -> type[OwnUser]:
    """Return a class of users of the project that this target serves. They ask for APP_HOST."""
    return users.user_class(target, OwnUser, workload=workload, host_header=os.environ["APP_HOST"], **attributes)


def alone(target: Target, workload: Workload) -> tuple[float, list[str]]:
    """Ask for each page a few times, one after the other; return the seconds that a page waits, without its CPU, as the
    mean by weight, and what was seen.

    Raises BadInput where one of them is not whole.
    """
    user = user_class(target, workload)(Environment())
    user.set_up()
    if user.unready:
        raise BadInput(f"{target.name}: {user.unready}. {help_with(target, user.unready)}")
    before = sampler.read(target.metrics)
    times = {page.name: list(seconds_of(user, page, target)) for page in workload.pages}
    after = sampler.read(target.metrics)
    number = sum(map(len, times.values()))
    cpu = (grown(before, after, "lab_cpu_seconds_total") or 0.0) / number
    took = fmean((median(each[1:] or each) for each in times.values()), [page.weight for page in workload.pages])
    longest = knobs.NUMBERS["LATENCY"].maximum
    if took > longest:
        raise BadInput(
            f"{target.name}: a page takes {took:.1f} s when one user asks for it; up to {longest:g} s can be measured"
        )
    return max(0.0, took - cpu), list(findings(target.name, times))


def seconds_of(user: OwnUser, page: OwnPage, target: Target) -> Iterator[float]:
    """Yield the seconds that the page takes, a few times. Raises BadInput where it is not whole."""
    begun = time.perf_counter()
    for _ in range(FIRST_PAGES):
        asked = time.perf_counter()
        if fault := user.ask_for(page):
            raise BadInput(
                f"the page {page.name} of {target.name} is not whole when one user asks for it: {fault}. "
                f"{help_with(target, fault)}"
            )
        yield time.perf_counter() - asked
        if time.perf_counter() - begun > FIRST_SECONDS:
            return
