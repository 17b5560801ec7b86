"""Unrounded response times in HdrHistograms, which can be merged.

They hold microseconds with three significant digits, from 1 µs to an hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

LONGEST = 3_600_000_000  # µs
DIGITS = 3

Interval = tuple[float, float, HdrHistogram]  # UNIX time of its start and its end, and what ended in between


def histogram(times: Iterable[float] = ()) -> HdrHistogram:
    """Return a histogram of these times, in seconds."""
    made = HdrHistogram(1, LONGEST, DIGITS)
    for seconds in times:
        made.record_value(microseconds(seconds))
    return made


def microseconds(seconds: float) -> int:
    """Return seconds as a histogram counts them."""
    return max(1, round(seconds * 1e6))


def interval_log(intervals: Iterable[Interval]) -> str:
    """Return an HdrHistogram interval log; values in microseconds."""
    stream = StringIO()
    log = HistogramLogWriter(stream)
    log.output_log_format_version()
    log.output_comment("response times of whole pages in microseconds, an interval per second")
    log.output_legend()
    for start, end, interval in intervals:
        log.output_interval_histogram(interval, start, end, max_value_unit_ratio=1)
    return stream.getvalue()


def merged(histograms: Iterable[HdrHistogram]) -> HdrHistogram:
    total = histogram()
    for one in histograms:
        total.add(one)
    return total
