"""What the services say of themselves while they are under load, read over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from loadtests import targets


@dataclass(frozen=True, slots=True)
class ApiReading:
    """The api at one moment. `lateness` counts calls by the bound (seconds) of how late they were."""

    calls_in_flight: int
    lateness: Mapping[float, float]


def read_api(url: str) -> ApiReading | None:
    """None when the api does not answer: a witness that is silent, which is a finding of its own."""
    try:
        text = targets.fetch(f"{url}/metrics")
    except (OSError, ValueError):
        return None
    in_flight, lateness = 0, {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "lab_calls_in_flight":
                in_flight = int(sample.value)
            elif sample.name == "lab_call_lateness_seconds_bucket":
                lateness[float(sample.labels["le"])] = sample.value
    return ApiReading(in_flight, lateness)


def lateness_p99(before: ApiReading | None, after: ApiReading | None) -> float | None:
    """Seconds that 99 % of the calls between two readings were late at the most.

    It is the bound of a bucket, so the true value is that or less. None when nothing is known.
    """
    if before is None or after is None:
        return None
    calls = {bound: after.lateness[bound] - before.lateness.get(bound, 0.0) for bound in after.lateness}
    total = max(calls.values(), default=0.0)
    if total <= 0:  # no call at all, or an api that was started anew in between
        return None
    return min(bound for bound, count in calls.items() if count >= 0.99 * total)
