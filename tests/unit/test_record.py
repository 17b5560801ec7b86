from __future__ import annotations

import time
from pathlib import Path

import pytest
from hdrh.log import HistogramLogReader

from loadtests.analysis.histograms import histogram, interval_log, merged, microseconds
from loadtests.analysis.statistics import percentile
from loadtests.generator.record import Recorder


def page(recorder: Recorder, seconds: float, fault: str | None = None) -> None:
    """One that ends now and has taken so long."""
    recorder.end(recorder.begin(time.perf_counter() - seconds), fault)


def test_a_page_counts_where_it_began_and_goodput_where_it_ended() -> None:
    recorder = Recorder()
    early = recorder.begin(time.perf_counter())
    page(recorder, 1.0)  # the warm-up is thrown away
    recorder.open()
    inside, late = recorder.begin(time.perf_counter()), recorder.begin(time.perf_counter())
    recorder.end(early, None)  # began in the warm-up, ended in the window: goodput, but no response time
    recorder.end(inside, None)
    recorder.close()
    after = recorder.begin(time.perf_counter())
    assert recorder.out == 1
    recorder.end(late, None)  # began in the window, ended after it: a response time, but no goodput
    recorder.end(after, None)
    assert (len(recorder.ends), recorder.response_times.get_total_count()) == (2, 2)
    assert len(recorder.log) == 3
    assert (recorder.out, recorder.under_way) == (0, 0)


def test_a_page_that_never_ends_is_a_failure_with_all_that_it_waited_and_is_noted_once() -> None:
    recorder = Recorder()
    before = recorder.begin(time.perf_counter() - 30)
    recorder.open()
    inside = recorder.begin(time.perf_counter())
    recorder.close()
    recorder.give_up("no answer")
    recorder.end(inside, None)
    assert recorder.failures == {"no answer": 2}
    assert [one.fault for one in recorder.log] == ["no answer", "no answer"]
    assert recorder.log[0].took >= 30
    assert recorder.ended == ["no answer", "no answer"]
    assert before != inside


def opened(*faults: str | None, took: float = 0.0) -> Recorder:
    """A recorder whose window has seen such pages; they began when it was opened and took so long."""
    recorder = Recorder()
    recorder.open()
    numbers = [recorder.begin(time.perf_counter() - took) for _ in faults]
    recorder.opened_at -= 2 * took + 1  # nobody waits for the clock
    for number, fault in zip(numbers, faults, strict=True):
        recorder.end(number, fault)
    recorder.close()
    return recorder


def test_failures_are_counted_apart_and_by_reason() -> None:
    recorder = opened("502", "502", None, took=1.0)
    assert (recorder.response_times.get_total_count(), recorder.failures) == (1, {"502": 2})
    assert percentile(recorder.failure_times, 100) == pytest.approx(1.0, rel=0.01)
    assert percentile(recorder.response_times, 50) == pytest.approx(1.0, rel=0.01)


def test_percentiles_keep_three_significant_digits() -> None:
    times = histogram()
    for n in range(1000):  # 1.000 s to 1.999 s: Locust knows only 1.0, 1.1, …
        times.record_value(microseconds(1.0 + n / 1000))
    for share, true in ((50, 1.4995), (95, 1.9495), (99, 1.9895)):
        assert percentile(times, share) == pytest.approx(true, rel=0.002)


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
    recorder = opened(*[None] * 50, took=1.25)
    path = tmp_path / "step.hlog"
    path.write_text(interval_log(recorder.intervals), encoding="utf-8")
    read = histogram()
    reader = HistogramLogReader(str(path), read)
    reader.add_next_interval_histogram(dest_histogram=read)
    reader.close()
    assert read.get_total_count() == 50
    assert percentile(read, 50) == pytest.approx(1.25, rel=0.01)
