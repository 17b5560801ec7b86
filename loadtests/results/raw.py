"""The raw data of one measurement: its pages, their interval log, and the counts beside them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from io import StringIO
from pathlib import Path

from loadtests.analysis.histograms import Interval, interval_log
from loadtests.analysis.statistics import Measured
from loadtests.model.measurement import Measurement, Page
from loadtests.results import files

ELSEWHERE = {"log", "response_times", "first_bytes", "failure_times"}  # in the files of the pages and their histograms
SPANS = ".spans.jsonl"


def keep(folder: Path, measured: Measured, intervals: Iterable[Interval]) -> None:
    """Write the raw data of a measurement. Raises LabError."""
    raw = folder / "raw"
    name = measured.measurement.name
    files.write(raw / f"{name}.hlog", interval_log(intervals))
    rows = StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(Page._fields)
    table.writerows((f"{page.began:.6f}", f"{page.took:.6f}", page.fault) for page in measured.log)
    files.write(raw / f"{name}.csv", rows.getvalue())
    counts = {field.name: getattr(measured, field.name) for field in fields(measured) if field.name not in ELSEWHERE}
    files.write(raw / f"{name}.json", json.dumps(counts, indent=2, default=asdict) + "\n")


def keep_spans(folder: Path, measurement: Measurement, lines: Iterable[str]) -> None:
    """Write the spans of a measurement's traced page, as lines of OTLP JSON: none if no page was. Raises LabError."""
    files.write(folder / "raw" / f"{measurement.name}{SPANS}", "".join(f"{line}\n" for line in lines))
