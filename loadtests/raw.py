"""The raw data of one measurement: the interval log, and the counts beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from loadtests.analysis.statistics import Measured
from loadtests.record import Interval, write_log


def keep(folder: Path, measured: Measured, intervals: Iterable[Interval]) -> None:
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    name = measured.measurement.name
    write_log(raw / f"{name}.hlog", intervals)
    counts = {
        "measurement": asdict(measured.measurement),
        "seconds": measured.seconds,
        "pages": measured.pages,
        "ended": measured.ended,
        "failures": dict(measured.failures),
        "generator_cpu": measured.generator_cpu,
        "generator_throttled": measured.generator_throttled,
        "generator_memory": measured.generator_memory,
        "clock_step": measured.clock_step,
        "arrival_lateness": measured.arrival_lateness,
        "load_average": measured.load_average,
        "inside": asdict(measured.inside),
    }
    (raw / f"{name}.json").write_text(json.dumps(counts, indent=2) + "\n")
