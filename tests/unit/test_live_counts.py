from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.live.calibration import Calibration
from loadtests.live.counts import MOST_REASONS, PageCounts
from loadtests.live.second import merged
from tests.unit.factories import SETTINGS


def test_pages_and_failures_are_counted_by_target_and_only_once() -> None:
    counts = PageCounts(["wsgi", "asgi"])
    counts.page("wsgi: threadpool", 1234.5)
    counts.page("asgi: gather", 100.0, exception=ValueError("no answer"))
    counts.page("something else", 1.0)
    taken = counts.take()
    assert (taken["wsgi"].pages, taken["wsgi"].failed) == (1, 0)
    assert (taken["asgi"].pages, taken["asgi"].failures) == (0, {"no answer": 1})
    assert abs(merged([taken["wsgi"]]).get_max_value() - 1_234_500) < 1000
    assert all(load.pages == load.failed == 0 for load in counts.take().values())


def test_kinds_of_failure_do_not_grow_without_end() -> None:
    counts = PageCounts(["wsgi"])
    for number in range(100):
        counts.page("wsgi: gather", 1.0, exception=f"fault {number}")
    failures = counts.take()["wsgi"].failures
    assert len(failures) == MOST_REASONS + 1
    assert sum(failures.values()) == 100


def test_what_workers_report_is_added_up() -> None:
    master, workers = PageCounts(["wsgi"]), [PageCounts(["wsgi"]) for _ in range(3)]
    for number, worker in enumerate(workers, 1):
        for _ in range(number):
            worker.page("wsgi: gather", 1000.0 * number)
        worker.page("wsgi: gather", 1.0, exception="refused")
        master.unpack(worker.pack())
    taken = master.take()["wsgi"]
    assert (taken.pages, taken.failures) == (6, {"refused": 3})
    assert merged([taken]).get_value_at_percentile(50) < 2_100_000
    assert abs(merged([taken]).get_max_value() - 3_000_000) < 3000


def test_a_page_is_priced_when_there_are_enough_of_them_and_anew_for_other_knobs() -> None:
    calibration = Calibration()
    for _ in range(4):
        calibration.add("wsgi", 9, 0.09)
    assert calibration.cpu_per_page("wsgi", "gather", SETTINGS) == 0.0
    calibration.add("wsgi", 9, 0.09)
    assert abs(calibration.cpu_per_page("wsgi", "gather", SETTINGS) - 0.01) < 1e-9
    calibration.begin(draining=9.5)
    for _ in range(10):
        calibration.add("wsgi", 100, 5.0)  # pages of before
    for _ in range(10):
        calibration.add("wsgi", 100, 0.1)
    turned = replace(SETTINGS, latency=0.01)
    assert calibration.cpu_per_page("wsgi", "gather", turned) == pytest.approx(0.001)
    calibration.begin()
    assert calibration.cpu_per_page("wsgi", "gather", SETTINGS) == pytest.approx(0.01)
    assert calibration.cpu_per_page("wsgi", "sequential", replace(SETTINGS, fan_out=5)) == pytest.approx(0.005)
    assert calibration.cpu_per_page("wsgi", "gather", replace(SETTINGS, work=0.02)) == pytest.approx(0.03)
    assert calibration.cpu_per_page("asgi", "gather", replace(SETTINGS, work=0.02)) == 0.02
