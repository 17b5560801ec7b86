from __future__ import annotations

import pickle

import pytest

from loadtests.live.history import History
from loadtests.live.second import Load, merged, step
from tests.unit.live import history, load, second


def test_a_figure_looks_back_at_five_seconds() -> None:
    made = History()
    for pages in (100, 100, 0, 20, 0, 20, 10):
        made.append(1.0, {"wsgi": second(pages)})
    assert made.samples[-1].steps["wsgi"]["goodput"] == pytest.approx(10.0)
    assert made.samples[-1].second == 7.0


def test_percentiles_come_from_merged_histograms_and_are_never_averaged() -> None:
    """Ninety pages of 1 s and, in another second, ten of 10 s: p95 is 10 s, the mean of both would be 5.5."""
    made = step(2.0, [second(90, 1.0), second(10, 10.0)])
    assert made["response_time"]["p50"] == pytest.approx(1.0, rel=0.002)
    assert made["response_time"]["p95"] == pytest.approx(10.0, rel=0.002)
    assert made["response_time"]["max"] == pytest.approx(10.0, rel=0.002)


def test_a_percentile_has_three_digits() -> None:
    made = step(1.0, [second(100, 1.234)])
    assert made["response_time"]["p95"] == pytest.approx(1.234, rel=0.001)


def test_without_a_page_there_is_no_response_time() -> None:
    made = step(1.0, [second(load=load(0, refused=3))])
    assert made["response_time"]["p50"] is None
    assert (made["goodput"], made["failures"], made["cpu_per_page"]) == (0.0, 3, None)


def test_what_a_service_did_not_say_stays_unknown() -> None:
    made = step(1.0, [second(pages_in_flight=None, cpu_seconds=None, memory=None)])
    assert made["inside"]["pages_in_flight"] is made["inside"]["cpu_seconds"] is made["inside"]["memory"] is None


def test_a_loop_that_has_not_come_back_is_as_late_as_it_has_been_away() -> None:
    silent = {"11": {0.05: 0.0, float("inf"): 0.0}}
    free = {"11": {0.05: 10.0, float("inf"): 10.0}}
    assert step(9.0, [second(loop_lag=silent)] * 5)["inside"]["loop_lag_p99"] == 5.0
    assert step(9.0, [*[second(loop_lag=free)] * 3, *[second(loop_lag=silent)] * 2])["inside"]["loop_lag_p99"] == 2.0
    assert step(9.0, [*[second(loop_lag=silent)] * 3, *[second(loop_lag=free)] * 2])["inside"]["loop_lag_p99"] == 0.05
    assert step(9.0, [second()] * 5)["inside"]["loop_lag_p99"] is None, "there is no loop"


def test_the_loops_lag_is_merged_from_counts_and_never_averaged() -> None:
    free, late = {"11": {0.01: 99.0, 0.5: 99.0}}, {"11": {0.01: 0.0, 0.5: 1.0}}
    both = second(loop_lag=free).then(second(loop_lag=late)).then(second())
    assert both.loop_lag == {"11": {0.01: 99.0, 0.5: 100.0}}
    assert step(3.0, [both])["inside"]["loop_lag_p99"] == 0.01
    assert step(3.0, [both, second(loop_lag=late)])["inside"]["loop_lag_p99"] == 0.5


def test_of_several_loops_the_latest_is_told_and_one_whose_worker_has_ended_is_not() -> None:
    silent, free = {0.05: 0.0, float("inf"): 0.0}, {0.05: 10.0, float("inf"): 10.0}
    one_blocks = [second(loop_lag={"11": free, "12": silent})] * 3
    assert step(9.0, one_blocks)["inside"]["loop_lag_p99"] == 3.0
    assert step(9.0, [*one_blocks, second(loop_lag={"11": free})])["inside"]["loop_lag_p99"] == 0.05


def test_a_run_of_hours_keeps_every_page_in_a_bounded_number_of_samples() -> None:
    made = history(150, limit=50)
    assert len(made.samples) == 50
    assert sum(sample.of["asgi"].load.pages for sample in made.samples) == 150 * 100
    assert sum(sample.of["asgi"].length for sample in made.samples) == 150
    assert merged(sample.of["asgi"].load for sample in made.samples).get_total_count() == 150 * 100
    for sample in made.samples:
        assert sample.steps["asgi"]["goodput"] == pytest.approx(100.0)
        assert sample.steps["wsgi"]["response_time"]["p95"] == pytest.approx(10.0, rel=0.002)
    seconds = [sample.second for sample in made.samples]
    assert seconds == sorted(seconds)
    assert seconds[-20:] == [float(second) for second in range(131, 151)]
    assert max(sample.length for sample in made.samples) <= 8


def test_hours_take_no_more_memory_than_half_an_hour() -> None:
    """By what is pickled, where each object is once: tracing the memory itself takes ten times as long."""
    made = history(60, limit=60)
    half_an_hour = len(pickle.dumps(made.samples))
    for _ in range(60):
        made.append(1.0, made.samples[-1].of)
    assert len(pickle.dumps(made.samples)) < 1.5 * half_an_hour  # what was merged is no longer shared
    hours = len(pickle.dumps(made.samples))
    for _ in range(60):
        made.append(1.0, made.samples[-1].of)
    assert len(pickle.dumps(made.samples)) < 1.1 * hours


def test_a_page_gets_what_is_new_to_it() -> None:
    made = history(10)
    assert [sample.number for sample in made.since(0)] == list(range(1, 11))
    assert [sample.number for sample in made.since(7)] == [8, 9, 10]
    assert made.since(10) == []


def test_a_page_that_was_away_while_samples_were_merged_gets_each_second_once() -> None:
    made = history(60, limit=50)
    assert [sample.second for sample in made.since(40)] == [float(second) for second in range(41, 61)]


def test_loads_of_several_workers_add_up() -> None:
    both = load(3, 1.0, refused=1) + load(2, 5.0, refused=1, late=1)
    assert (both.pages, both.failures) == (5, {"refused": 2, "late": 1})
    assert merged([both]).get_total_count() == 5
    assert load(3) + Load() == load(3)
