"""The noise floor that the latest run of `noise` measured, for the runs after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXPERIMENT = "noise"


def measured(results: Path, runtime: str, machine: Mapping[str, Any]) -> float | None:
    """A share; None where no valid run of this machine in this runtime has measured it."""
    newest_first = sorted(results.glob(f"2*-{EXPERIMENT}*/summary.json"), reverse=True)
    return next((floor for path in newest_first if (floor := floor_of(path, runtime, machine)) is not None), None)


def floor_of(path: Path, runtime: str, machine: Mapping[str, Any]) -> float | None:
    """None also where the file is damaged."""
    try:
        summary: Any = json.loads(path.read_text(encoding="utf-8"))
        holds = summary["complete"] and summary["verdict"]["status"] != "invalid"
        same = (summary["runtime"], summary["manifest"]["machine"]) == (runtime, machine)
        return float(summary["noise_floor"]) if holds and same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
