from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from loadtests.analysis.capacity import predict
from loadtests.errors import BadInput
from loadtests.generator.plan import NORMAL
from loadtests.live.save import known
from loadtests.live.save import save as save_known
from loadtests.live.steady_window import LONGEST, SteadyWindow
from loadtests.model.load_level import LoadLevel
from loadtests.model.prediction import Deployment
from loadtests.model.summary import Summary
from tests.unit.factories import SETTINGS, TARGETS
from tests.unit.live import requested, second, steady_window, tick


def save(made: SteadyWindow, folder: Path, runtime: str = "process") -> tuple[Path, Summary]:
    steady = made.steady()
    return save_known(steady, TARGETS, folder, known(steady.requested, TARGETS, runtime))


def test_one_target_alone_makes_the_folder_of_a_run(tmp_path: Path, root: Path) -> None:
    folder, summary = save(steady_window(60, "asgi", pages=100), tmp_path)
    assert folder.parent == tmp_path
    assert folder.name.endswith("-live")
    assert summary == json.loads((folder / "summary.json").read_text())
    jsonschema.validate(summary, json.loads((root / "docs" / "summary.schema.json").read_text()))
    assert summary["verdict"]["status"] == "confirmed", summary["verdict"]
    assert summary["verdict"]["sentence"] == (
        "As predicted: ASGI served 100 pages/s at 100 users (p95 1.00 s), 99.9 predicted."
    )
    step = summary["arms"][0]["steps"][0]
    assert (step["users"], step["goodput"]) == (100, 100.0)
    assert "make loadtest USERS=100" in (folder / "report.html").read_text()


def test_no_command_is_said_to_repeat_what_none_measures(tmp_path: Path) -> None:
    made = steady_window(60, "asgi", pages=100)
    made.requested = replace(requested("asgi"), strategy="gather")
    folder, summary = save(made, tmp_path)
    said = summary["manifest"]["command"]
    assert said.startswith("No command measures this: make loadtest takes the strategies from its EXPERIMENT")
    assert "it was gather. Set it on the live page again: USERS=100 FAN_OUT=10 LATENCY=1 " in said
    assert "make loadtest USERS" not in (folder / "report.html").read_text()


def test_the_raw_data_lies_beside_it(tmp_path: Path) -> None:
    folder, summary = save(steady_window(60, "asgi", pages=100), tmp_path)
    total = HdrHistogram(1, 3_600_000_000, 3)
    reader = HistogramLogReader(str(folder / "raw" / "asgi-gather-100-users-1.hlog"), total)
    while reader.add_next_interval_histogram(dest_histogram=total):
        pass
    reader.close()
    assert total.get_total_count() == summary["arms"][0]["steps"][0]["pages"]


def test_both_at_once_are_invalid_and_the_report_says_why(tmp_path: Path) -> None:
    folder, summary = save(steady_window(60), tmp_path)
    assert summary["verdict"]["status"] == "invalid"
    assert "WSGI and ASGI were loaded at once" in summary["verdict"]["sentence"]
    assert "WSGI and ASGI were loaded at once" in (folder / "report.html").read_text()
    assert [arm["target"] for arm in summary["arms"]] == ["wsgi", "asgi"]


def test_the_warm_up_is_dropped() -> None:
    made = steady_window(30, "asgi")
    window = made.steady().window
    assert window[0].at == 1.0  # 1 s of warm-up, as nothing is predicted
    assert len(window) == 29


def queueing(seconds: int) -> SteadyWindow:
    """100 users of 10 slots wait 10 s for a page."""
    expected = predict(SETTINGS, "threadpool", Deployment(10), LoadLevel(users=100))
    assert expected.response_time == pytest.approx(10.0)
    made = SteadyWindow()
    made.begin(requested("wsgi"))
    for at in range(seconds):
        made.add(tick(at, wsgi=second(predicted=expected)))
    return made


def test_pages_of_before_a_change_are_dropped_with_the_warm_up() -> None:
    made = queueing(20)
    made.begin(requested("wsgi"))
    made.add(tick(0, wsgi=second(100, 0.1)))
    assert made.warm_up == pytest.approx(10.0 + NORMAL.warm_up)
    made.begin(requested("wsgi"))
    assert made.draining == pytest.approx(9.0), "also those of before the change before"


def test_what_was_stopped_ends_by_itself_and_then_leaves_nothing_to_wait_for() -> None:
    made = queueing(20)
    made.begin(requested("wsgi"), idle=4.0)
    assert made.draining == pytest.approx(6.0)
    made = queueing(20)
    made.forget()
    made.begin(requested("wsgi"), idle=4.0)
    assert made.draining == pytest.approx(6.0), "also where the figures were forgotten in between"
    made = queueing(20)
    made.begin(requested("wsgi"), idle=60.0)
    assert made.draining == 0


def test_a_long_stretch_is_saved_from_its_end() -> None:
    window = steady_window(LONGEST + 100, "asgi").steady().window
    assert len(window) == LONGEST - 1
    assert window[-1].at == LONGEST + 99


def test_what_is_not_steady_yet_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="wait 3 s more"):
        save(steady_window(3, "asgi"), tmp_path)
    with pytest.raises(BadInput, match="press Start"):
        save(SteadyWindow(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be written to"):
        save(steady_window(60, "asgi"), tmp_path / "file")


def test_what_cannot_be_written_whole_is_taken_away_again_and_what_was_saved_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = save(steady_window(60, "asgi"), tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loadtests.report.html.write", full)
    with pytest.raises(BadInput, match=r"Nothing was saved: .* cannot be written to \(No space left on device\)"):
        save(steady_window(60, "asgi"), tmp_path)
    assert list(tmp_path.iterdir()) == [before]


def test_a_strategy_that_nothing_predicts_can_be_saved_and_is_not_confirmed(tmp_path: Path) -> None:
    steady = steady_window(60, "asgi", pages=100).steady()
    unknown = replace(TARGETS["asgi"], unpredicted=frozenset(TARGETS["asgi"].paths))
    targets = {**TARGETS, "asgi": unknown}
    _, found = save_known(steady, targets, tmp_path, known(steady.requested, targets, "process"))
    assert found["verdict"]["status"] == "not confirmed"
