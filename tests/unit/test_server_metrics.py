from __future__ import annotations

import math

import pytest

from loadtests.analysis.readings import Reading, grown, of_worker, p99, p99_by_worker
from loadtests.analysis.server_metrics import inside, together
from loadtests.generator.sampler import parse
from loadtests.model.server_metrics import LATENESS, LOOP_LAG, Inside, Worker

TEXT = """# TYPE lab_pages_in_flight gauge
lab_pages_in_flight 7.0
# TYPE lab_cpu_seconds counter
lab_cpu_seconds_total 1.5
# TYPE lab_call_lateness_seconds histogram
lab_call_lateness_seconds_bucket{le="0.001"} 90.0
lab_call_lateness_seconds_bucket{le="0.05"} 99.0
lab_call_lateness_seconds_bucket{le="+Inf"} 100.0
lab_call_lateness_seconds_count 100.0
lab_call_lateness_seconds_sum 1.0
"""


def reading(**values: float) -> Reading:
    return Reading(values)


def test_prometheus_text_becomes_a_reading() -> None:
    parsed = parse(TEXT)
    assert parsed.number("lab_pages_in_flight") == 7
    assert parsed.values["lab_cpu_seconds_total"] == 1.5
    assert parsed.number("lab_threads") is None
    assert p99(Reading(), parsed, "lab_call_lateness_seconds") == 0.05


def test_a_histogram_is_read_between_two_moments() -> None:
    later = Reading(buckets={"h": {0.001: 100.0, 1.0: 101.0}})
    earlier = Reading(buckets={"h": {0.001: 99.0, 1.0: 99.0}})
    assert p99(Reading(buckets={}), later, "h") == 0.001
    assert p99(earlier, later, "h") == 1.0
    assert p99(later, later, "h") is None
    assert p99(None, later, "h") is None


def test_beyond_the_last_bound_it_is_that_bound() -> None:
    beyond = Reading(buckets={"h": {0.1: 0, 5.0: 10, math.inf: 100}})
    assert p99(Reading(buckets={}), beyond, "h") == 5.0


def test_a_sum_over_repeats_is_not_known_where_one_of_them_is_not() -> None:
    known, unknown = Inside(cpu_seconds=1.0, memory=5.0), Inside(memory=7.0)
    assert together([known, unknown]).cpu_seconds is None
    assert together([known, known]).cpu_seconds == 2.0
    assert together([known, unknown]).memory == 7.0


def test_a_counter_that_shrank_says_nothing() -> None:
    assert grown(reading(n=1), reading(n=3), "n") == 2
    assert grown(reading(n=3), reading(n=1), "n") is None
    assert grown(None, reading(n=1), "n") is None
    assert grown(reading(), reading(n=1), "n") == 1


def test_a_step_is_the_median_of_what_was_in_flight_and_the_growth_of_what_was_counted() -> None:
    target = [reading(lab_pages_in_flight=n, lab_cpu_seconds_total=n, lab_memory_bytes=n) for n in (1, 10, 10)]
    seen = inside(target, [None, reading(lab_calls_in_flight=100), None])
    assert (seen.pages_in_flight, seen.most_pages_in_flight) == (10, 10)
    assert seen.calls_in_flight == 100
    assert seen.cpu_seconds == 9
    assert seen.memory == 10


def test_memory_is_what_the_processes_take_and_beside_it_what_the_limit_counts() -> None:
    said = [reading(lab_memory_bytes=60, lab_memory_limited_bytes=n) for n in (70, 90, 80)]
    seen = inside(said, said)
    assert (seen.memory, seen.memory_limited) == (60, 90)
    assert (seen.api_memory, seen.api_memory_limited) == (60, 90)
    assert inside([reading(lab_memory_bytes=60)], []).memory_limited is None


def of_workers(**pages: tuple[float, float]) -> Reading:
    """The pages that each worker has finished, and those that it has in flight."""
    values: dict[str, float] = {}
    for process, (finished, in_flight) in pages.items():
        values[f'lab_worker_pages_finished_total{{worker="{process}"}}'] = finished
        values[f'lab_worker_pages_in_flight{{worker="{process}"}}'] = in_flight
    return Reading(values)


def test_workers_are_told_apart_the_busiest_first() -> None:
    said = [of_workers(a=(5, 0), b=(7, 2)), of_workers(a=(5, 0), b=(9, 2)), of_workers(a=(6, 1), b=(19, 2))]
    seen = inside(said, [])
    assert seen.workers == (Worker("b", 12, 2, 2), Worker("a", 1, 0, 1))
    assert seen.workers_started == 0


LAG_OF_TWO = "".join(
    f'lab_{of}_bucket{{le="{bound}"{worker}}} {count}\n'
    for of, worker, counts in (
        ("event_loop_lag_seconds", "", (990, 990, 995)),
        ("worker_event_loop_lag_seconds", ',worker="a"', (891, 891, 891)),
        ("worker_event_loop_lag_seconds", ',worker="b"', (99, 99, 104)),
    )
    for bound, count in zip(("0.01", "0.5", "+Inf"), counts, strict=True)
)


def test_the_latest_worker_counts_which_a_histogram_of_all_would_hide() -> None:
    lines = "# TYPE lab_event_loop_lag_seconds histogram\n", "# TYPE lab_worker_event_loop_lag_seconds histogram\n"
    merged, apart = LAG_OF_TWO[: LAG_OF_TWO.index("lab_worker")], LAG_OF_TWO[LAG_OF_TWO.index("lab_worker") :]
    after = parse(lines[0] + merged + lines[1] + apart)
    assert p99(Reading(), parse(lines[0] + merged), LOOP_LAG) == 0.01
    assert p99(Reading(), after, LOOP_LAG) == 0.5
    assert p99_by_worker(Reading(), after, LOOP_LAG) == {"a": 0.01, "b": 0.5}
    assert p99_by_worker(after, after, LOOP_LAG) == {}


def test_two_late_calls_of_a_workers_few_are_chance() -> None:
    merged = {0.01: 998.0, 0.5: 1000.0}
    few = {f'{of_worker(LATENESS)}{{worker="a"}}': {0.01: 98.0, 0.5: 100.0}}
    after = Reading({}, {LATENESS: merged, **few})
    assert p99(Reading(), after, LATENESS) == 0.01
    assert p99_by_worker(Reading(), after, LATENESS) == {"a": 0.5}


def test_the_workers_of_the_api_have_calls_and_are_told_apart_as_well() -> None:
    def said(**calls: float) -> Reading:
        names = (f'lab_worker_calls_total{{worker="{process}"}}' for process in calls)
        flying = {f'lab_worker_calls_in_flight{{worker="{process}"}}': 5.0 for process in calls}
        return Reading(dict(zip(names, calls.values(), strict=True)) | flying)

    seen = inside([], [said(a=0, b=10), said(a=30, b=20)])
    assert seen.api_workers == (Worker("a", 30, 5, 5), Worker("b", 10, 5, 5))
    assert together([seen, seen]).api_workers[0].pages == 60


def test_a_worker_that_was_replaced_is_counted_with_what_it_did_until_then() -> None:
    last = of_workers(b=(4, 1))
    last = Reading({**last.values, 'lab_worker_pages_finished_total{worker="a"}': 9})
    seen = inside([of_workers(a=(5, 1)), last], [])
    assert seen.workers == (Worker("a", 4, 1, 1, ended=True), Worker("b", 4, 1, 1))
    assert seen.workers_started == 1


def test_the_same_worker_over_several_repeats_is_one() -> None:
    first = inside([of_workers(a=(0, 1), b=(0, 1)), of_workers(a=(5, 1), b=(3, 1))], [])
    second = inside([of_workers(a=(5, 1), b=(3, 1)), of_workers(a=(6, 3), b=(9, 1))], [])
    both = together([first, second])
    assert [(worker.process, worker.pages) for worker in both.workers] == [("b", 9), ("a", 6)]
    assert both.workers[1].most_pages_in_flight == 3


def test_a_silent_sampler_says_nothing() -> None:
    assert inside([], []) == Inside()
    assert inside([None, None], [None]) == Inside()


def test_repeats_are_put_together_each_in_its_way() -> None:
    first = Inside(pages_in_flight=10, cpu_seconds=1, threads=5)
    second = Inside(pages_in_flight=20, cpu_seconds=2, threads=9, memory=7)
    both = together([first, second])
    assert both == Inside(pages_in_flight=15, cpu_seconds=3, threads=9, memory=7)
    assert both.cpu_seconds == pytest.approx(3)
