from __future__ import annotations

import time
from pathlib import Path

import pytest
from hdrh.log import HistogramLogReader

from loadtests.analysis.statistics import percentile
from loadtests.record import Recorder, histogram, interval_log, merged


def test_only_pages_inside_the_window_count() -> None:
    recorder = Recorder()
    recorder.page(1.0, None)
    recorder.open()
    recorder.page(2.0, None)
    recorder.close()
    recorder.page(3.0, None)
    assert recorder.pages == 1
    assert percentile(recorder.response_times, 100) == pytest.approx(2.0, rel=0.001)


def test_failures_are_counted_apart_and_by_reason() -> None:
    recorder = Recorder()
    recorder.open()
    recorder.page(0.001, "502")
    recorder.page(0.001, "502")
    recorder.page(1.0, None)
    recorder.close()
    assert (recorder.pages, recorder.failures) == (1, {"502": 2})
    assert percentile(recorder.failure_times, 100) == pytest.approx(0.001, rel=0.001)
    assert percentile(recorder.response_times, 50) == pytest.approx(1.0, rel=0.001)


def test_percentiles_keep_three_significant_digits() -> None:
    recorder = Recorder()
    recorder.open()
    times = [1.0 + n / 1000 for n in range(1000)]  # 1.000 s to 1.999 s: Locust knows only 1.0, 1.1, …
    for seconds in times:
        recorder.page(seconds, None)
    recorder.close()
    for share, true in ((50, 1.4995), (95, 1.9495), (99, 1.9895)):
        assert percentile(recorder.response_times, share) == pytest.approx(true, rel=0.002)


def test_merged_histograms_give_the_percentiles_of_all_values_not_an_average() -> None:
    fast, slow = histogram(), histogram()
    for _ in range(90):
        fast.record_value(1_000_000)
    for _ in range(10):
        slow.record_value(9_000_000)
    both = merged([fast, slow])
    assert percentile(both, 50) == pytest.approx(1.0, rel=0.001)
    assert percentile(both, 95) == pytest.approx(9.0, rel=0.001)


def test_without_pages_there_is_no_percentile() -> None:
    assert percentile(histogram(), 50) is None


def test_the_interval_log_can_be_read_back(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.open()
    for _ in range(50):
        recorder.page(1.25, None)
    recorder.close()
    path = tmp_path / "step.hlog"
    path.write_text(interval_log(recorder.intervals), encoding="utf-8")
    read = histogram()
    reader = HistogramLogReader(str(path), read)
    reader.add_next_interval_histogram(dest_histogram=read)
    reader.close()
    assert read.get_total_count() == 50
    assert percentile(read, 50) == pytest.approx(1.25, rel=0.001)


def test_a_page_that_arrived_in_the_window_counts_with_all_that_it_waited() -> None:
    recorder = Recorder()
    before = time.perf_counter()
    recorder.open()
    inside = time.perf_counter()
    recorder.arrival(before, None)  # arrived in the warm-up and ends in the window: goodput, but no response time
    recorder.close()
    after = time.perf_counter()
    recorder.arrival(inside, None)  # arrived in the window and ends after it: a response time, but no goodput
    recorder.arrival(inside, "no answer")
    recorder.arrival(after, None)
    assert len(recorder.ends) == 1
    assert (recorder.pages, recorder.failures) == (1, {"no answer": 1})
