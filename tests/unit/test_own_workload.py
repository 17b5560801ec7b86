"""The answer for a project of somebody's own, and what a user of it keeps."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from loadtests import experiments
from loadtests.analysis import gaps, noise
from loadtests.analysis.capacity import predict
from loadtests.analysis.own_project import cookies, facts, findings, hint
from loadtests.experiments import own_workload
from loadtests.experiments.own_workload import ARMS, OWN_WORKLOAD, judge
from loadtests.model.experiment import Point
from loadtests.model.load_level import LoadLevel
from loadtests.model.prediction import Deployment
from loadtests.model.settings import Settings

WAITS = Settings(fan_out=1, latency=0.2, jitter=0.0, fail=0.0)


def point(arm: int, goodput: float, slots: int | None, spread: float = 0.01) -> Point:
    level = LoadLevel(users=50)
    return Point(
        arm=ARMS[arm],
        level=level,
        slots=slots,
        goodput=goodput,
        goodputs=(goodput,),
        drawn=np.random.default_rng(arm).normal(goodput, spread * goodput, 1000),
        predicted=predict(WAITS, "pages", Deployment(slots, cores=1.0), level, cpu_per_page=0.005),
        p50=0.3,
        p95=0.5,
        noise_floor=noise.FLOOR,
        pages=500,
    )


def test_slots_are_what_limits_a_page_that_waits() -> None:
    said = judge([point(0, 48.5, 10), point(1, 195, None)])
    assert said.confirmed
    assert said.sentence.startswith(
        "ASGI serves 4.02 times as many pages at 50 users: WSGI served 48.5 pages/s (p95 500 ms)"
    )
    assert "; the ratio is 3.9" in said.sentence
    assert said.sentence.endswith("What limits them: 10 slots for WSGI, CPU for ASGI.")


@pytest.mark.parametrize(("wsgi", "asgi", "spread"), [(190, 192, 0.01), (180, 195, 0.1)])
def test_no_difference_is_what_the_noise_or_the_interval_holds(wsgi: float, asgi: float, spread: float) -> None:
    said = judge([point(0, wsgi, 100, spread), point(1, asgi, None, spread)])
    assert said.confirmed
    assert said.sentence.startswith("No difference: at 50 users")


def test_less_than_all_known_limits_allow_is_not_explained_and_not_confirmed() -> None:
    said = judge([point(0, 48.5, 10), point(1, 40, None)])
    assert not said.confirmed
    assert said.sentence.startswith("Not explained: at 50 users")
    assert re.search(r", ASGI below the 1\d\d pages/s that page time, slots and CPU let\.", said.sentence)
    assert own_workload.EXPLAINED == gaps.MISSED


def test_of_a_single_deployment_there_is_nothing_to_compare() -> None:
    said = judge([replace(point(1, 195, None), predicted=None)])
    assert (
        said.sentence
        == "Nothing to compare with: at 50 users ASGI served 195 pages/s (p95 500 ms). What limits them is not known."
    )


def test_it_takes_a_project_and_is_in_no_list_of_all() -> None:
    assert OWN_WORKLOAD.name not in experiments.catalogue()
    assert experiments.find(OWN_WORKLOAD.name).question == "WSGI or ASGI, for the pages of a project of our own?"
    assert [arm.target for arm in own_workload.elsewhere(["one", "two"]).arms] == ["one", "two"]


def test_a_user_keeps_cookies_for_https_and_for_other_hosts_and_forgets_what_is_deleted() -> None:
    kept = cookies(
        {"gone": "1"},
        [
            'sessionid="a b"; Domain=shop.example; Secure; HttpOnly; Path=/',
            "csrftoken=t0k3n; Max-Age=3600",
            "gone=; Max-Age=0",
            "\x00 no cookie",
        ],
    )
    assert kept == {"sessionid": '"a b"', "csrftoken": "t0k3n"}
    deleted = 'sessionid=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0'
    assert cookies(kept, [deleted]) == {"csrftoken": "t0k3n"}


@pytest.mark.parametrize(
    ("fault", "project", "said"),
    [
        ("status 400, not 200", {"allowed_hosts": ["shop.example"]}, "ALLOWED_HOSTS is ['shop.example']"),
        ("status 302, not 200", {}, "[[setup]]"),
        ("setup login: status 403, not 302", {}, "{csrf}"),
        ("status 500, not 200", {"databases": {"default": "localhost"}}, "DATABASES has HOST localhost"),
        ("status 500, not 200", {"databases": {"default": "db"}}, "server's log"),
        ("'x' is not in the answer", {}, "Correct the page"),
    ],
)
def test_a_fault_comes_with_what_may_help(fault: str, project: dict[str, object], said: str) -> None:
    assert said in hint(project, fault)


def test_a_page_that_only_its_first_answer_made_slow_is_named() -> None:
    named = list(findings("wsgi-own", {"home": [0.5, 0.01, 0.01], "search": [0.2, 0.19, 0.21]}))
    assert len(named) == 1
    assert named[0].startswith("wsgi-own: the first home took 0.5 s and the next ones 0.01 s.")


def test_what_decides_under_which_interface_a_project_does_well_is_said() -> None:
    project = {
        "views": {"/": "async", "/a/": "sync", "/no/": "none"},
        "sync_middleware": ["shop.Middleware"],
        "debug": True,
    }
    said = list(facts(project))
    assert said[0] == "Views: / async, /a/ sync."
    assert "middleware that is sync alone: shop.Middleware." in said[1]
    assert said[2].startswith("DEBUG is True")
    assert not any("middleware" in line for line in facts({**project, "views": {"/": "sync"}}))
    assert "not known" in next(facts(None))
