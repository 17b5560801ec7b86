"""The types of summary.json, which docs/summary.schema.json describes field by field.

The live page makes steps of the same shape for the plots, each at a `second`, and leaves out what is NotRequired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

Interval = Sequence[float] | None  # both ends
Percentiles = Mapping[str, float | None]  # seconds: p50, p95, p99, max
Manifest = Mapping[str, Any]  # whatever the result depends on


class StepSummary(TypedDict):
    users: int | None
    rate: float | None
    knobs: Mapping[str, float]
    goodput: float
    goodput_repeats: Sequence[float]
    response_time: Percentiles
    first_byte: Percentiles
    pages: int
    failures: int
    seconds: float
    cpu_per_page: float | None
    inside: Mapping[str, Any]  # the fields of model.server_metrics.Inside
    predicted: Mapping[str, Any]  # fields of model.prediction.Prediction
    name: NotRequired[str]
    think: NotRequired[float]
    arrivals: NotRequired[str | None]
    goodput_interval: NotRequired[Interval]
    response_time_repeats: NotRequired[Mapping[str, Sequence[float]]]
    response_time_interval: NotRequired[Mapping[str, Interval]]
    failure_time: NotRequired[Percentiles]
    failure_reasons: NotRequired[Mapping[str, int]]
    cpu_beside: NotRequired[float | None]
    machine: NotRequired[Mapping[str, Any] | None]  # fields of analysis.machine.Machine
    limited_by: NotRequired[str | None]
    by_page: NotRequired[Sequence[Mapping[str, Any]]]  # the fields of analysis.statistics.PageFigures
    second: NotRequired[float]


class ArmSummary(TypedDict):
    target: str
    strategy: str
    label: str
    interface: str
    slots: int | None
    steps: Sequence[StepSummary]
    server: NotRequired[str]
    cores: NotRequired[float | None]
    cost: NotRequired[Mapping[str, float | None]]


class Plotted(TypedDict):
    """What the plots look at."""

    arms: Sequence[ArmSummary]


class VerdictSummary(TypedDict):
    status: str
    headline: str
    sentence: str
    key: Sequence[str]


class ComparisonSummary(TypedDict):
    step: str | None
    of: str | None
    to: str | None
    ratio: float | None
    ratio_interval: Interval


class Summary(Plotted):
    schema_version: int
    experiment: str
    question: str
    advice: str
    plots: Sequence[str]
    runtime: str
    complete: bool
    comparison: ComparisonSummary
    verdict: VerdictSummary
    noise_floor: float | None
    recommendations: Sequence[str]
    findings: Sequence[str]
    checks: Sequence[Mapping[str, Any]]  # the fields of analysis.check.Check
    manifest: Manifest
