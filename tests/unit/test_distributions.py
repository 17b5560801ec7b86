from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.analysis.histograms import histogram
from loadtests.model.summary import Summary
from loadtests.report import distributions
from loadtests.report.plots import Drawn
from loadtests.results import raw
from loadtests.results.summary import summarize
from tests.unit.factories import ASGI, WSGI, measured, run

STEPS = [measured(arm, users, 10.0) for users in (10, 100) for arm in (WSGI, ASGI)]


@pytest.fixture
def result() -> Summary:
    return summarize(run(*STEPS))


def keep(folder: Path, *seconds: dict[float, int]) -> None:
    """Keep the raw data of all steps: in each second of a window so many pages (by the seconds they took)."""
    (folder / "raw").mkdir()
    intervals = []
    for number, pages in enumerate(seconds):
        times = histogram()
        for took, count in pages.items():
            times.record_value(round(took * 1e6), count)
        if pages:
            intervals.append((1e9 + number, 1e9 + number + 1, times))
    for step in STEPS:
        raw.keep(folder, step, intervals)


def drawn(result: Summary, folder: Path) -> list[Drawn]:
    return list(distributions.drawn(result, folder))


def test_every_arm_has_its_distribution_at_its_highest_load(result: Summary, tmp_path: Path) -> None:
    keep(tmp_path, {0.1: 90, 2.0: 10})
    shares, _ = drawn(result, tmp_path)
    assert [trace.name.split()[0] for trace in shares.figure.data] == ["WSGI", "ASGI"]
    for trace in shares.figure.data:
        at = dict(zip(trace.y, trace.x, strict=True))
        assert at[50] == pytest.approx(0.1, rel=0.01)
        assert at[95] == pytest.approx(2.0, rel=0.01)
    assert shares.figure.layout.xaxis.type == "log"


def test_the_heat_map_has_a_column_for_each_second_also_where_no_page_began(result: Summary, tmp_path: Path) -> None:
    keep(tmp_path, {0.1: 9}, {}, {0.1: 3, 0.3: 4})
    _, heat = drawn(result, tmp_path)
    for trace in heat.figure.data:
        columns = [[count or 0 for count in column] for column in zip(*trace.z, strict=True)]
        assert [sum(column) for column in columns] == [9, 0, 7]
        assert max(columns[0]) == 9, "pages that took the same are in one cell"


def test_repeats_of_a_step_are_drawn_together(tmp_path: Path) -> None:
    again = [replace(step, measurement=replace(step.measurement, repeat=1)) for step in STEPS]
    keep(tmp_path, {0.1: 5})
    for step in again:
        times = histogram()
        times.record_value(100_000, 7)
        raw.keep(tmp_path, step, [(2e9, 2e9 + 1, times)])
    _, heat = drawn(summarize(run(*STEPS, *again)), tmp_path)
    assert [sum(count or 0 for row in trace.z for count in row) for trace in heat.figure.data] == [12, 12]


@pytest.mark.parametrize("missing", range(1, 60, 7))
def test_an_interval_log_that_is_cut_off_costs_no_report(missing: int, result: Summary, tmp_path: Path) -> None:
    keep(tmp_path, {0.1: 9}, {0.2: 5})
    log = tmp_path / "raw" / f"{STEPS[2].measurement.name}.hlog"
    log.write_text(log.read_text()[:-missing])
    shares, _ = drawn(result, tmp_path)
    assert "ASGI" in [trace.name.split()[0] for trace in shares.figure.data]


@pytest.mark.parametrize("content", ["", "{", '"text"', "{}"])
def test_raw_data_that_cannot_be_read_costs_its_arm_alone(content: str, result: Summary, tmp_path: Path) -> None:
    keep(tmp_path, {0.1: 9})
    (tmp_path / "raw" / f"{STEPS[2].measurement.name}.json").write_text(content)
    (tmp_path / "raw" / "other.json").write_text(content)
    shares, _ = drawn(result, tmp_path)
    assert [trace.name.split()[0] for trace in shares.figure.data] == ["ASGI"]


def test_no_raw_data_is_no_plot(result: Summary, tmp_path: Path) -> None:
    assert drawn(result, tmp_path) == []
    keep(tmp_path, {})
    assert drawn(result, tmp_path) == []
