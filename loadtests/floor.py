"""The noise floor that the latest run of `noise` measured, for the runs of the same pace after it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtests import results
from loadtests.analysis.comparison import number

EXPERIMENT = "noise"


def measured(runtime: str, machine: Mapping[str, Any], *, quick: bool) -> float | None:
    """A share; None where no valid run of this machine in this runtime, as quick as this, has measured it."""
    floors = (floor_of(path, runtime, machine, quick=quick) for path in results.summaries(EXPERIMENT))
    return next((floor for floor in floors if floor is not None), None)


def floor_of(path: Path, runtime: str, machine: Mapping[str, Any], *, quick: bool) -> float | None:
    """None also where the file is damaged."""
    summary = results.summary(path)
    try:
        holds = summary["complete"] is True and summary["verdict"]["status"] in {"confirmed", "not confirmed"}
        known = summary["manifest"]
        alike = (summary["runtime"], known["machine"], known["knobs"]["quick"]) == (runtime, machine, quick)
        return number(summary["noise_floor"], "noise_floor") if holds and alike else None
    except (ValueError, KeyError, TypeError):
        return None
