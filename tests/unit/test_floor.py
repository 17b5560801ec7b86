from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadtests.results import folders, history
from loadtests.results.summary import summarize
from tests.unit.factories import ASGI, MANIFEST, WSGI, measured, run

HERE = {"cpu": "one", "cores": 2}


@pytest.fixture(autouse=True)
def _runs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "FOLDER", tmp_path)


def manifest(machine: Mapping[str, Any] = HERE, *, quick: bool = False) -> dict[str, Any]:
    return {"machine": machine, "knobs": {"quick": quick}}


def keep(folder: Path, name: str, **changes: Any) -> None:
    content = {
        "complete": True,
        "verdict": {"status": "not confirmed"},
        "runtime": "docker",
        "noise_floor": 0.07,
        "manifest": manifest(),
    }
    (folder / name).mkdir()
    (folder / name / "summary.json").write_text(json.dumps(content | changes))


def test_it_is_that_of_the_latest_valid_run_of_noise_here(tmp_path: Path) -> None:
    assert history.noise_floor("docker", HERE, quick=False) is None
    keep(tmp_path, "20260101T000000Z-noise", noise_floor=0.03)
    keep(tmp_path, "20260102T000000Z-noise")
    keep(tmp_path, "20260103T000000Z-noise", verdict={"status": "invalid"}, noise_floor=0.5)
    keep(tmp_path, "20260104T000000Z-noise", complete=False, noise_floor=0.5)
    keep(tmp_path, "20260105T000000Z-noise", manifest=manifest({"cpu": "other"}), noise_floor=0.5)
    keep(tmp_path, "20260107T000000Z-noise", manifest=manifest(quick=True), noise_floor=0.2)
    keep(tmp_path, "20260106T000000Z-slots", noise_floor=0.5)
    assert history.noise_floor("docker", HERE, quick=False) == 0.07
    assert history.noise_floor("docker", HERE, quick=True) == 0.2
    assert history.noise_floor("process", HERE, quick=False) is None


@pytest.mark.parametrize("value", ["1e999", "-1", "true", '"0.07"', "null", "[0.07]", "NaN", "1" * 400])
def test_a_floor_that_is_no_number_from_0_on_is_passed_over(value: str, tmp_path: Path) -> None:
    keep(tmp_path, "20260101T000000Z-noise")
    keep(tmp_path, "20260102T000000Z-noise", noise_floor="VALUE")
    path = tmp_path / "20260102T000000Z-noise" / "summary.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"VALUE"', value), encoding="utf-8")
    assert history.noise_floor("docker", HERE, quick=False) == 0.07


@pytest.mark.parametrize("damaged", ["", "[]", "{}", "7", "\x00", "[" * 100_000, '{"complete": true, "verdict": 3}'])
def test_a_damaged_run_says_nothing(damaged: str, tmp_path: Path) -> None:
    (tmp_path / "20260101T000000Z-noise").mkdir()
    (tmp_path / "20260101T000000Z-noise" / "summary.json").write_text(damaged)
    assert history.noise_floor("docker", HERE, quick=False) is None


def test_below_it_a_gap_to_the_prediction_is_no_finding() -> None:
    measurements = measured(WSGI, 100, 9.2, took=10.0, seconds=100.0), measured(ASGI, 100, 98.0, seconds=100.0)
    [finding] = [one for one in summarize(run(*measurements))["findings"] if "9.20 pages/s measured" in one]
    noisy = summarize(run(*measurements, manifest=MANIFEST | {"noise_floor": 0.2}))
    assert finding not in noisy["findings"]
    assert noisy["noise_floor"] == 0.2
