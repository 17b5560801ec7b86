"""How long the api takes to answer a call: the distribution that services/api/behaviour.py draws from. Pure; seconds.

Constant, uniform on [latency, latency + jitter], or lognormal with the latency as its median and a 99th percentile. A
page waits for the slowest of its F calls: the mean of that is the integral over u from 0 to 1 of the time within which
a share u^(1/F) of all answers comes (H. A. David, Order Statistics, 1970).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist, fmean

from loadtests.model.settings import Settings

NORMAL = NormalDist()
Z99 = NORMAL.inv_cdf(0.99)
NEGLIGIBLE = 1e-6  # share of answers: what is later than all others is not spoken of
POINTS = [(number + 0.5) / 2000 for number in range(2000)]  # of the integral: less than 1 % off where p99 is 20 medians


def lognormal(settings: Settings) -> bool:
    return settings.latency_p99 > settings.latency


def sigma(settings: Settings) -> float:
    """Return the standard deviation of the logarithm of a lognormal answer's time."""
    return math.log(settings.latency_p99 / settings.latency) / Z99


def quantile(settings: Settings, share: float) -> float:
    """Return the time within which this share of all answers comes; above 0 and below 1."""
    if lognormal(settings):
        return settings.latency * math.exp(sigma(settings) * NORMAL.inv_cdf(share))
    return settings.latency + settings.jitter * share


def in_time(settings: Settings, timeout: float) -> float:
    """Return the share of answers that come before the timeout; each takes a moment more than it waits."""
    if timeout == math.inf:
        return 1.0
    if lognormal(settings):
        share = NORMAL.cdf(math.log(timeout / settings.latency) / sigma(settings))
        return 1.0 if share > 1 - NEGLIGIBLE else share
    if settings.latency >= timeout:
        return 0.0
    return min(1.0, (timeout - settings.latency) / settings.jitter) if settings.jitter else 1.0


def independent_calls(settings: Settings) -> int:
    """Return how many of a page's calls differ: all of them, or one where they are slow together."""
    return 1 if settings.correlated else settings.fan_out


@lru_cache(maxsize=256)
def slowest(settings: Settings, calls: int, among: float = 1.0) -> float:
    """Return how long the slowest of so many calls takes on average, of those that are `among` the fastest share."""
    if not lognormal(settings):
        return settings.latency + settings.jitter * among * calls / (calls + 1)
    return fmean(quantile(settings, among * point ** (1 / calls)) for point in POINTS) if among else math.inf


def variation(settings: Settings, calls: int) -> float:
    """Return the squared coefficient of variation of the time of the slowest of `calls` calls; 0 if it never varies.

    The rest of a page's time is taken as constant, so this is an upper bound for the page.
    """
    if not lognormal(settings):
        mean, variance = slowest(settings, calls), settings.jitter**2 * calls / ((calls + 1) ** 2 * (calls + 2))
        return variance / mean**2 if mean else 0.0
    square = fmean(quantile(settings, point ** (1 / calls)) ** 2 for point in POINTS)
    return max(0.0, square / slowest(settings, calls) ** 2 - 1)


def fastest(settings: Settings, pages: int, false_alarms: float) -> float:
    """Return the shortest time to expect of the fastest of `pages` pages.

    A page takes at least as long as its slowest call. A share `false_alarms` of correct measurements is faster.
    """
    return quantile(settings, (false_alarms / pages) ** (1 / independent_calls(settings)))
