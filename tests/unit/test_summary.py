from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import jsonschema
import pytest

from loadtests import experiments
from loadtests.analysis.cost import flip
from loadtests.analysis.machine import Machine
from loadtests.model.experiment import Arm, Judgement
from loadtests.model.load_level import LoadLevel
from loadtests.model.prediction import Prediction
from loadtests.model.server_metrics import Inside, Worker
from loadtests.model.summary import ArmSummary, ComparisonSummary, StepSummary, Summary, VerdictSummary
from loadtests.results import summary
from loadtests.results.summary import Run, summarize
from tests.unit.factories import ASGI, INSIDE, MANIFEST, TARGETS, WSGI, generator, good_run, measured, run, target

HELD = Judgement(confirmed=True, sentence="It was held.")


@pytest.fixture(scope="module")
def schema(root: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((root / "docs" / "summary.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


@pytest.mark.parametrize(("runtime", "machine"), [("docker", 2), ("process", 2), ("swarm", math.inf)])
def test_services_on_nodes_of_their_own_share_no_machine(runtime: str, machine: float) -> None:
    manifest = {"runtime": runtime, "generator": {"cores": 2}, "services": {"wsgi": {"cpus": 1}}}
    assert summary.deployment(target("wsgi", 10), manifest).machine == machine


@pytest.mark.parametrize(
    ("described", "typed"),
    [
        (lambda schema: schema, Summary),
        (lambda schema: schema["properties"]["comparison"], ComparisonSummary),
        (lambda schema: schema["properties"]["verdict"], VerdictSummary),
        (lambda schema: schema["$defs"]["arm"], ArmSummary),
        (lambda schema: schema["$defs"]["step"], StepSummary),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_types_have_the_fields_that_the_schema_describes(
    schema: dict[str, Any], described: Callable[[dict[str, Any]], dict[str, Any]], typed: type
) -> None:
    assert get_type_hints(typed).keys() - {"second"} == described(schema)["properties"].keys()


@pytest.mark.parametrize(("part", "fields_of"), [("inside", Inside), ("machine", Machine), ("predicted", Prediction)])
def test_what_a_step_holds_of_other_models_is_what_they_have(
    schema: dict[str, Any], part: str, fields_of: type
) -> None:
    of_the_model = {field.name for field in fields(fields_of)} | {"taken"}
    assert schema["$defs"]["step"]["properties"][part]["properties"].keys() <= of_the_model


def test_a_complete_run_is_confirmed_and_matches_the_schema(schema: dict[str, Any]) -> None:
    result = summarize(good_run())
    jsonschema.validate(result, schema)
    assert result["verdict"]["status"] == "confirmed"
    assert result["comparison"]["ratio"] == pytest.approx(97.0 / 9.9, rel=0.01)
    assert "97.0 pages/s" in result["verdict"]["sentence"]
    assert [step["users"] for step in result["arms"][0]["steps"]] == [10, 100]


def test_open_steps_match_the_schema_and_are_above_the_closed_ones(schema: dict[str, Any]) -> None:
    overload = experiments.find("overload")
    result = summarize(overload_run())
    jsonschema.validate(result, schema)
    assert result["experiment"] == overload.name
    assert [(step["name"], step["users"], step["rate"]) for step in result["arms"][0]["steps"]] == [
        ("20 users", 20, None),
        ("20 pages/s", None, 20),
    ]
    assert result["arms"][0]["steps"][1]["predicted"]["bottleneck"] == "slots"
    assert result["arms"][1]["steps"][1]["predicted"]["bottleneck"] == "arrivals"
    assert result["comparison"]["step"] == "20 pages/s"


def test_what_the_users_who_wait_hide_is_said_in_a_sentence() -> None:
    result = summarize(overload_run())
    assert result["verdict"]["status"] == "confirmed"
    assert "the median is 8.00 s and still growing, against 2.00 s" in result["verdict"]["sentence"]
    assert "ASGI served 20.0 of them (p95 1.00 s)" in result["verdict"]["sentence"]


@pytest.mark.parametrize(("changes", "why"), [({"took": 2.1}, "Not as predicted"), ({"rate": 8.0}, "Not shown")])
def test_what_arrivals_do_not_show_is_not_confirmed(changes: dict[str, float], why: str) -> None:
    result = summarize(overload_run(**changes))
    assert result["verdict"]["status"] == "not confirmed"
    assert result["verdict"]["sentence"].startswith(why)


def overload_run(rate: float = 20.0, took: float = 8.0) -> Run:
    return run(
        measured(WSGI, 20, 10.0, took=2.0),
        measured(ASGI, 20, 20.0),
        measured(ASGI, LoadLevel(rate=rate), min(rate, 20.0), generators=generator(lateness=0.001)),
        measured(WSGI, LoadLevel(rate=rate), min(rate, 10.0), took=took, generators=generator(lateness=0.001)),
        experiment=experiments.find("overload"),
    )


def test_a_run_that_measured_nothing_matches_the_schema_and_is_invalid(schema: dict[str, Any]) -> None:
    result = summarize(run(planned=8, stopped_because="it was interrupted."))
    jsonschema.validate(result, schema)
    assert result["verdict"] == {
        "status": "invalid",
        "headline": "Incomplete",
        "sentence": "Incomplete, 0 of 8 measurements: it was interrupted.",
        "key": [],
    }
    assert result["comparison"]["ratio"] is None
    assert not result["complete"]


def test_a_step_without_a_page_has_no_response_time(schema: dict[str, Any]) -> None:
    result = summarize(run(measured(WSGI, 10, 0.0), planned=2, stopped_because="nothing came."))
    jsonschema.validate(result, schema)
    assert result["arms"][0]["steps"][0]["response_time"] == {"p50": None, "p95": None, "p99": None, "max": None}


def test_a_failed_check_stands_in_the_place_of_the_answer(schema: dict[str, Any]) -> None:
    result = summarize(run(measured(WSGI, 100, 10.0), measured(ASGI, 100, 97.0, generators=generator(0.99))))
    jsonschema.validate(result, schema)
    assert result["verdict"]["status"] == "invalid"
    assert result["verdict"]["sentence"].startswith(
        "No answer: the load generator was saturated: ASGI gather at 100 users: 0.990 cores (check of generator CPU"
    )


def test_the_sentence_says_the_first_failed_check_in_full_and_names_the_others() -> None:
    starved: dict[str, Any] = {"generators": generator(0.99, throttled=5.0, clock_step=1.0)}
    result = summarize(run(measured(WSGI, 100, 10.0, **starved), measured(ASGI, 100, 97.0, **starved)))
    sentence = result["verdict"]["sentence"]
    assert sentence.startswith("No answer: the load generator was saturated: WSGI threadpool at 100 users: 0.990 cores")
    assert sentence.endswith("(Failed as well: CPU throttling, clock.)")


def test_repeats_give_the_median_goodput_and_merged_response_times(schema: dict[str, Any]) -> None:
    repeats = [measured(ASGI, 100, goodput, repeat=n) for n, goodput in enumerate((90.0, 97.0, 20.0))]
    result = summarize(run(*repeats, *(measured(WSGI, 100, 10.0, repeat=n) for n in range(3))))
    jsonschema.validate(result, schema)
    step = result["arms"][1]["steps"][0]
    assert step["goodput"] == pytest.approx(90.0)
    assert step["pages"] == 2070
    assert step["goodput_repeats"] == pytest.approx([90.0, 97.0, 20.0])


@pytest.mark.parametrize(
    ("wsgi", "asgi", "users", "why"),
    [
        (10.0, 12.0, 100, "2.0 times were asked for and 1.2 seen"),
        (6.0, 97.0, 100, "WSGI should be held at its 10 slots"),
        (10.0, 10.0, 10, "No difference: at 10 users"),
        (10.0, 10.3, 100, "No difference: at 100 users"),
    ],
)
def test_what_was_not_seen_is_not_confirmed(wsgi: float, asgi: float, users: int, why: str) -> None:
    result = summarize(run(measured(WSGI, users, wsgi), measured(ASGI, users, asgi)))
    assert result["verdict"]["status"] == "not confirmed"
    assert why in result["verdict"]["sentence"]


def test_summary_json_is_written_whole(tmp_path: Path) -> None:
    result = summarize(good_run())
    summary.write(result, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == result
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_what_it_takes_to_match_is_measured_where_an_arm_has_slots_enough_and_else_predicted() -> None:
    hundred = Arm("wsgi-100", "threadpool")
    slow, fast, matching = measured(WSGI, 100, 10.0), measured(ASGI, 100, 97.0), measured(hundred, 100, 95.0)
    (predicted,) = (text for text in summarize(run(slow, fast))["recommendations"] if "would need" in text)
    assert "(predicted, not measured)" in predicted
    slots = replace(experiments.find("external-concurrency"), arms=(WSGI, hundred, ASGI), judge=lambda _: HELD)
    targets = {**TARGETS, "wsgi-100": target("wsgi-100", 100)}
    found = summarize(run(slow, fast, matching, experiment=slots, targets=targets))["recommendations"]
    assert not any("would need" in text for text in found)
    assert any(text.startswith("WSGI 100 with 100 slots served 95.0 pages/s where ASGI served 97.0") for text in found)


@pytest.mark.parametrize("doubt", [WSGI, ASGI])
def test_nothing_is_advised_from_an_arm_that_does_not_hold(doubt: Arm) -> None:
    good = [measured(WSGI, 100, 10.0), measured(ASGI, 100, 97.0)]
    in_doubt = [replace(one, generators=generator(0.99)) if one.measurement.arm == doubt else one for one in good]
    assert any("would need" in finding for finding in summarize(run(*good))["recommendations"])
    assert not any("would need" in finding for finding in summarize(run(*in_doubt))["recommendations"])
    incomplete = summarize(run(*good, planned=4, stopped_because="it was interrupted."))
    assert not any("would need" in finding for finding in incomplete["recommendations"])


def test_the_advice_says_when_the_answer_would_be_another() -> None:
    told = replace(INSIDE, cpu_seconds=9.9 * 32 * 0.005)  # 5 ms a page
    slow = measured(WSGI, 100, 9.9, took=10.0, seconds=32.0, inside=told)
    [sentence] = [one for one in summarize(run(slow, measured(ASGI, 100, 97.0)))["recommendations"] if "flip" in one]
    assert "with at most 10 pages at once both serve the same" in sentence
    assert "less than 45.0 ms" in sentence
    equal = summarize(run(measured(WSGI, 10, 10.0), measured(ASGI, 10, 10.0)))
    assert not any("flip" in one for one in equal["recommendations"])


@pytest.mark.parametrize(
    ("slots", "cores", "cpu", "wait", "shortest"),
    [
        (10, 1.0, 0.005, 1.0, "45.0 ms"),
        (100, 4.0, 0.006, 1.0, "144 ms"),
        (10, 1.0, 0.005, 0.04, None),  # CPU is the limit already
        (1, 1.0, 0.005, 1.0, None),
        (10, math.inf, 0.005, 1.0, None),
    ],
)
def test_slots_decide_where_a_page_waits_longer_than_its_cores_can_fill(
    slots: int, cores: float, cpu: float, wait: float, shortest: str | None
) -> None:
    sentence = flip("WSGI", slots, cores, cpu, wait)
    assert (sentence is None) == (shortest is None)
    assert shortest is None or f"less than {shortest}" in (sentence or "")


def test_nothing_is_confirmed_without_the_finding_that_speaks_against_it(schema: dict[str, Any]) -> None:
    piled = replace(INSIDE, workers=(Worker("1", 50, 1, 1), Worker("2", 0, 0, 0)), workers_started=0.0)
    two_workers = {**TARGETS, "wsgi": replace(TARGETS["wsgi"], workers=2)}
    found = summarize(
        run(
            measured(WSGI, 10, 5.0, inside=piled),
            measured(ASGI, 10, 10.0),
            measured(WSGI, 100, 9.9, took=3.0),
            measured(ASGI, 100, 97.0),
            targets=two_workers,
        )
    )
    jsonschema.validate(found, schema)
    assert found["verdict"]["status"] == "confirmed"
    [finding] = [one for one in found["findings"] if "its 2 workers finished 50, 0 pages" in one]
    assert found["verdict"]["sentence"].endswith(f" But {finding}")
    assert [step["limited_by"] for step in found["arms"][0]["steps"]] == ["uneven workers", "slots"]
    assert [worker["pages"] for worker in found["arms"][0]["steps"][0]["inside"]["workers"]] == [50, 0]


def test_a_worker_that_was_replaced_is_a_finding() -> None:
    replaced = replace(INSIDE, workers_started=1.0)
    found = summarize(run(measured(WSGI, 100, 9.9, took=3.0, inside=replaced), measured(ASGI, 100, 97.0)))["findings"]
    said = "1 worker ended and was replaced, and the service's log may say why."
    assert f"WSGI threadpool at 100 users: {said}" in found
    slower = measured(WSGI, 100, 4.0, took=3.0, inside=replaced)
    [once] = [one for one in summarize(run(slower, measured(ASGI, 100, 97.0)))["findings"] if said in one]
    assert "-60%" in once


def test_what_is_predicted_to_fail_is_said_with_the_reason(schema: dict[str, Any]) -> None:
    services = {**MANIFEST["services"], "wsgi": {"environment": {"CALL_TIMEOUT": "0.5"}}}
    failed = measured(WSGI, 10, 0.0, failures=Counter({"504": 90}))
    found = summarize(run(failed, measured(ASGI, 10, 10.0), manifest={**MANIFEST, "services": services}))
    jsonschema.validate(found, schema)
    [step] = found["arms"][0]["steps"]
    assert (step["predicted"]["goodput"], step["predicted"]["failing"], step["limited_by"]) == (0, 1, "failures")
    assert any(
        "pages fail as predicted: calls are given up after 0.5 s, and the api takes 1 s" in one
        for one in found["findings"]
    )


def test_nothing_is_predicted_of_a_strategy_that_no_formula_knows() -> None:
    targets = {**TARGETS, "asgi": replace(TARGETS["asgi"], unpredicted=frozenset({"gather"}))}
    found = summarize(run(measured(WSGI, 10, 9.0), measured(ASGI, 10, 2.0), targets=targets))
    wsgi, asgi = (arm["steps"][0] for arm in found["arms"])
    assert wsgi["predicted"]["goodput"] > 0
    assert asgi["predicted"]["goodput"] is None
    assert not any("ASGI" in finding for finding in found["findings"])


def test_the_network_is_a_finding_where_it_takes_a_millisecond_and_the_prediction_includes_it() -> None:
    far = {name: replace(one, round_trip=0.012, api_round_trip=0.1) for name, one in TARGETS.items()}
    loopback = {name: replace(one, round_trip=90e-6, api_round_trip=80e-6) for name, one in TARGETS.items()}
    there, here, near = (summarize(good_run(targets=one)) for one in (far, loopback, TARGETS))
    said = "wsgi: the network's round trip takes 12.0 ms to the target and 100 ms to the api"
    assert sum(said in finding for finding in there["findings"]) == 1
    assert here["findings"] == near["findings"]
    assert not any("round trip" in finding for finding in near["findings"])
    first, other = (result["arms"][0]["steps"][0]["predicted"]["response_time"] for result in (there, near))
    assert first - other == pytest.approx(0.112, rel=0.01)
