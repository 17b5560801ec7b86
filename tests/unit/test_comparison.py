from __future__ import annotations

import copy
from typing import Any

import pytest

from loadtests.analysis import noise
from loadtests.analysis.comparison import Comparison, Figure, Place, changes, compare, flat, options, parse
from loadtests.errors import BadInput
from loadtests.results.summary import summarize
from tests.unit.factories import good_run

PLACE = Place("ASGI gather", "100 users")


def step(users: int = 100, *goodputs: float, times: float | None = 1.0, **extra: Any) -> dict[str, Any]:
    """`times` is every percentile, in seconds."""
    repeats = goodputs or (94.0,)
    return {
        "name": f"{users} user{'' if users == 1 else 's'}",
        "goodput": sorted(repeats)[len(repeats) // 2],
        "goodput_repeats": list(repeats),
        "response_time": dict.fromkeys(("p50", "p95", "p99", "max"), times),
        "pages": 900,
        "failures": 0,
        "failure_reasons": {},
        **extra,
    }


def arm(*steps: dict[str, Any], target: str = "asgi", strategy: str = "gather") -> dict[str, Any]:
    return {"target": target, "strategy": strategy, "steps": list(steps)}


def summary(*arms: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return {
        "schema_version": 2,
        "experiment": "external-concurrency",
        "complete": True,
        "arms": list(arms),
        "verdict": {"status": "confirmed", "sentence": "It decides."},
        "manifest": {"runtime": "docker", "commit": "abc"},
        **extra,
    }


def compared(a: object, b: object) -> Comparison:
    return compare(parse(a), parse(b))


def goodput(before: tuple[float, ...], after: tuple[float, ...], **extra: Any) -> Figure:
    return compared(summary(arm(step(100, *before)), **extra), summary(arm(step(100, *after)))).goodputs[0]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((90.0, 94.0, 98.0), (70.0, 71.0, 72.0), "beyond the noise"),
        ((70.0, 71.0, 72.0), (90.0, 94.0, 98.0), "beyond the noise"),
        ((60.0, 94.0, 98.0), (55.0, 71.0, 72.0), "within the noise"),  # the intervals overlap
        ((90.0, 94.0, 98.0), (80.0, 81.0, 90.0), "within the noise"),  # they touch
        ((94.0, 94.1, 94.2), (93.0, 93.1, 93.2), "no difference"),  # apart, but below the floor
        ((94.0,), (71.0,), "above the floor"),
        ((94.0, 94.0, 94.0), (71.0,), "above the floor"),  # one of the two has no spread
        ((94.0,), (93.0,), "no difference"),
        ((100.0,), (95.0,), "no difference"),  # the floor itself is not above the floor
        ((100.0,), (94.9,), "above the floor"),
        ((0.0,), (0.0,), "no difference"),
        ((0.0,), (5.0,), "above the floor"),
        ((5.0, 5.0), (0.0, 0.0), "beyond the noise"),
    ],
)
def test_a_difference_counts_when_it_is_above_the_floor_and_the_repeats_stand_apart(
    before: tuple[float, ...], after: tuple[float, ...], verdict: str
) -> None:
    assert goodput(before, after).verdict == verdict


def test_the_floor_is_the_default_until_a_noise_run_has_measured_one() -> None:
    assert goodput((100.0,), (92.0,)).floor == noise.FLOOR
    assert goodput((100.0,), (92.0,), noise_floor=None).verdict == "above the floor"
    assert goodput((100.0,), (92.0,), noise_floor=0.1).verdict == "no difference"
    assert goodput((100.0,), (97.0,), noise_floor=0.02).verdict == "above the floor"


def test_of_two_measured_floors_the_higher_one_counts() -> None:
    found = compared(summary(arm(step()), noise_floor=0.02), summary(arm(step()), noise_floor=0.08))
    assert found.floor == 0.08
    assert found.floor_measured


def test_a_response_time_has_no_spread_and_is_judged_by_the_floor() -> None:
    found = compared(
        summary(arm(step(100, 90.0, 94.0, times=1.0))),
        summary(arm(step(100, 90.0, 94.0, times=1.2))),
    )
    assert [figure.name for figure in found.response_times] == ["p50", "p95", "p99"]
    assert {figure.verdict for figure in found.response_times} == {"above the floor"}
    assert found.response_times[0].change == pytest.approx(0.2)


def test_a_response_time_that_only_one_run_has_is_shown_but_not_counted() -> None:
    found = compared(summary(arm(step(times=None))), summary(arm(step(times=1.0))))
    assert {figure.verdict for figure in found.figures if figure.name == "p95"} == {"not comparable"}
    assert not found.response_times
    assert len(compared(summary(arm(step(times=None))), summary(arm(step(times=None)))).figures) == 1


def test_the_largest_change_is_a_goodputs_before_any_response_times() -> None:
    a = summary(arm(step(1, 10.0), step(10, 100.0), step(100, 100.0)))
    b = summary(arm(step(1, 10.0), step(10, 180.0), step(100, 50.0, times=9.0)))
    largest = compared(a, b).largest
    assert largest
    assert (largest.name, largest.place.load) == ("goodput", "100 users")  # halved is more than +80 %
    largest = compared(a, summary(arm(step(1, 10.0, times=3.0), step(10, 100.0, times=2.0)))).largest
    assert largest
    assert (largest.name, largest.place.load) == ("p50", "1 user")
    assert compared(a, a).largest is None


def test_steps_of_former_versions_were_numbers_of_users() -> None:
    old = step(50)
    del old["name"]
    found = compared(summary(arm(old | {"users": 50})), summary(arm(old | {"users": 50})))
    assert {str(figure.place) for figure in found.figures} == {"ASGI gather at 50 users"}


def test_arms_and_steps_that_one_run_alone_has_are_listed() -> None:
    a = summary(arm(step(1), step(100)))
    b = summary(arm(step(100), step(200)), arm(step(100), target="wsgi"))
    found = compared(a, b)
    assert [str(place) for place in found.only[0]] == ["ASGI gather at 1 user"]
    assert [str(place) for place in found.only[1]] == ["ASGI gather at 200 users", "WSGI gather at 100 users"]
    assert {figure.place for figure in found.figures} == {PLACE}


def test_a_target_that_is_compared_with_itself_keeps_its_two_arms_apart() -> None:
    found = compared(summary(arm(step()), arm(step())), summary(arm(step()), arm(step(100, 50.0))))
    assert [(figure.place.arm, figure.changed) for figure in found.goodputs] == [
        ("ASGI gather", False),
        ("ASGI gather (2)", True),
    ]


def test_failures_that_changed_are_found_by_their_number_and_their_reason() -> None:
    timed_out = summary(arm(step(failures=3, failure_reasons={"timed out": 3})))
    refused = summary(arm(step(failures=3, failure_reasons={"refused": 3})))
    ((place, before, after),) = compared(summary(arm(step())), timed_out).failures
    assert (place, before.failed, after.failed, after.answers) == (PLACE, 0, 3, 903)
    assert compared(timed_out, refused).failures
    assert not compared(timed_out, timed_out).failures


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"complete": False, "verdict": {"status": "invalid", "sentence": "Incomplete, 4 of 8."}},
            "INCOMPLETE: 4 of 8.",
        ),
        ({"verdict": {"status": "invalid", "sentence": "No answer: too busy."}}, "INVALID: No answer: too busy."),
        ({"verdict": {"status": "not confirmed", "sentence": "Not shown."}}, None),
    ],
)
def test_a_run_says_why_its_figures_are_not_to_be_compared(change: dict[str, Any], why: str | None) -> None:
    assert parse(summary(arm(step()), **change)).why_not == why


@pytest.mark.parametrize(
    ("change", "why"), [({"experiment": "noise"}, "different questions"), ({"schema_version": 1}, "different versions")]
)
def test_runs_that_do_not_mean_the_same_are_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        compared(summary(arm(step())), summary(arm(step()), **change))


@pytest.mark.parametrize(
    "key", ["schema_version", "experiment", "complete", "arms", "verdict", "manifest", "verdict.status", "arms.0.steps"]
)
def test_a_summary_that_lacks_a_key_is_refused_by_name(key: str) -> None:
    broken: Any = summary(arm(step()))
    inner, (*path, last) = broken, key.split(".")
    for word in path:
        inner = inner[int(word)] if word.isdigit() else inner[word]
    del inner[last]
    with pytest.raises(ValueError, match=f"'{last}' is missing"):
        parse(broken)


@pytest.mark.parametrize("key", sorted(step()))
def test_a_step_that_lacks_a_key_is_refused_by_name(key: str) -> None:
    broken = step()
    del broken[key]
    with pytest.raises(ValueError, match=f"'{key}' is missing"):
        parse(summary(arm(broken)))


@pytest.mark.parametrize("value", [None, "94", True, -1.0, float("nan"), float("inf"), 10**400, [94.0]])
def test_a_figure_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="'goodput' is missing or not a number"):
        parse(summary(arm(step(goodput=value))))


@pytest.mark.parametrize("value", [[], "text", 1, None, [1], {"arms": 1}])
def test_what_is_no_summary_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"missing|not an object"):
        parse(value)


def service(command: str, **environment: str) -> dict[str, Any]:
    return {"command": command, "environment": environment}


def manifest(started: str = "2026-11-20T20:26", port: int = 8001) -> dict[str, Any]:
    return {
        "started": started,
        "command": f"make loadtest WSGI_PORT={port}",
        "services": {
            "wsgi": service("gunicorn app --bind=0.0.0.0:8000 --threads 10", API_URL="http://api:8000/api/"),
            "locust": service("locust", PUBLISHED_PORT=str(port)),
        },
    }


def test_ports_and_the_start_are_no_difference() -> None:
    assert changes(flat(manifest()), flat(manifest("2026-11-21T09:00", 9001))) == []


def test_a_changed_option_of_a_command_is_one_changed_key() -> None:
    here, there = manifest(), manifest()
    there["services"]["wsgi"]["command"] = "gunicorn app --bind=0.0.0.0:8000 --threads 50 --no-control-socket"
    assert changes(flat(here), flat(there)) == [
        ("services.wsgi.command.--no-control-socket", "not there", "given"),
        ("services.wsgi.command.--threads", "10", "50"),
    ]
    assert options("") == {"program": "given"}


def test_the_manifest_is_flattened_and_what_a_person_turned_comes_first() -> None:
    here = {"generator": {"python": 2}, "knobs": {"latency": 1.0, "quick": False}, "warnings": [], "commit": None}
    there = {"generator": {"python": 4}, "knobs": {"latency": 0.2, "quick": False}, "warnings": ["!"], "commit": "abc"}
    assert changes(flat(here), flat(there)) == [
        ("commit", "null", "abc"),
        ("knobs.latency", "1.0", "0.2"),
        ("generator.python", "2", "4"),
        ("warnings", "[]", '["!"]'),
    ]


@pytest.mark.parametrize("services", [None, [], "text", {"api": None}, {"api": {"command": 5}}, {"command": "a -b"}])
def test_a_manifest_of_another_form_is_compared_as_it_is(services: object) -> None:
    assert changes(flat({"services": services}), flat({"services": copy.deepcopy(services)})) == []


def test_what_the_lab_writes_can_be_compared() -> None:
    found = compared(summarize(good_run()), summarize(good_run()))
    assert len(found.figures) == 4 * 3  # no p99: of fewer than 1,000 pages nobody knows it
    assert {figure.verdict for figure in found.figures} == {"no difference"}
    assert (found.changes, found.failures, found.only) == ([], [], ([], []))
