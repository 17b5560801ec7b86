"""How sure a figure is: 95 % intervals, and whether a window was steady. Pure. numpy and scipy come with it.

One repeat is cut into blocks, because pages follow each other: users in lockstep end their pages together, and a page
that waits is followed by one that waits. Moving blocks (H. R. Künsch, 1989) that hold at least one page time keep both
together. Several repeats are independent, so their values are enough: Student's t.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy  # its parts are loaded when they are first used: the web UI never does

from loadtests.model.measurement import Page

SURE = 0.95
FEWEST_BLOCKS, MOST_BLOCKS = 4, 100  # of fewer no interval is worth anything
MOST_BATCHES = 20
RESAMPLES, MOST_NUMBERS = 1000, 4_000_000  # resamples, as far as they hold so many numbers in all

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


class Interval(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True)
class Draws:
    """What a figure could have been as well, by resampling; empty where too little is known to say."""

    goodput: Array
    p50: Array
    p95: Array


NOTHING: Array = np.empty(0)


def load_scipy() -> None:
    """Load the parts of scipy that are used here. It takes half a second, which must not fall into a window."""
    scipy.stats.t.ppf(SURE, 1)


def students_t(freedom: float) -> float:
    """Return how many standard errors the 95 % interval reaches to either side."""
    return float(scipy.stats.t.ppf((1 + SURE) / 2, freedom))


def begun(pages: Sequence[Page]) -> list[Page]:
    """Return the whole pages that began in the window, in the order in which they did."""
    return sorted(page for page in pages if page.fault is None and page.began >= 0)


def ends(pages: Sequence[Page], window: float) -> Array:
    """Return when whole pages ended in the window, in ascending order."""
    return np.sort([page.ended for page in pages if page.fault is None and 0 <= page.ended < window])


def draws(pages: Sequence[Page], window: float, turn: float) -> Draws:
    """Return what the pages of a window of so many seconds say of goodput (pages/s), and of percentiles (seconds).

    `turn`: seconds after which what users in lockstep do repeats itself, a page that nothing holds up. The draws are
    always the same for the same pages.
    """
    random = np.random.default_rng(len(pages))
    took = np.array([page.took for page in begun(pages)])
    block = max(round(len(took) ** (1 / 3)), round(len(took) * turn / window))
    times = resampled(took, block, random)
    return Draws(
        goodput=goodputs(ends(pages, window), turn, window, random),
        p50=np.percentile(times, 50, axis=1) if times.size else NOTHING,
        p95=np.percentile(times, 95, axis=1) if times.size else NOTHING,
    )


def goodputs(ended: Array, turn: float, window: float, random: np.random.Generator) -> Array:
    """Resample blocks of time, and count what ends in each."""
    length = max(turn, window / MOST_BLOCKS)
    number = int(window / length)
    if number < FEWEST_BLOCKS or not ended.size:
        return NOTHING
    starts = random.uniform(0, window - length, (RESAMPLES, number))
    counted = np.searchsorted(ended, starts + length) - np.searchsorted(ended, starts)
    return np.asarray(counted.mean(axis=1) / length)


def resampled(values: Array, block: int, random: np.random.Generator) -> Array:
    """Return as many series of blocks of successive values as RESAMPLES and MOST_NUMBERS allow; a row each."""
    blocks = len(values) // block if block else 0
    if blocks < FEWEST_BLOCKS:
        return NOTHING
    rows = max(100, min(RESAMPLES, MOST_NUMBERS // len(values)))
    starts = random.integers(0, len(values) - block + 1, (rows, blocks, 1))
    return np.asarray(values[(starts + np.arange(block)).reshape(rows, -1)])


def median_time(pages: Sequence[Page]) -> float:
    """Return the median response time of the whole pages that began in the window, in seconds; 0 where none ended."""
    took = [page.took for page in begun(pages)]
    return float(np.median(took)) if took else 0.0


def half_width(pages: Sequence[Page], window: float, turn: float) -> float:
    """Return half of the 95 % interval of goodput or p50, whichever is wider, as a share of the figure.

    Use the means of up to 20 batches of the window (A. M. Law and W. D. Kelton, Simulation Modeling and Analysis). They
    are much faster than `draws`, and the load generator serves its users meanwhile. Return 0 if there are too few.
    """
    length = max(1, math.ceil(window / turn / MOST_BATCHES)) * turn if turn else window / MOST_BATCHES
    number = int(window / length + 1e-9) if length else 0  # a batch holds whole turns of users in lockstep
    whole = np.array([(page.began, page.took) for page in pages if page.fault is None])
    if number < FEWEST_BLOCKS or not whole.size:
        return 0.0
    began, took = whole.T
    edges = np.arange(number + 1) * length
    ended = np.histogram(began + took, edges)[0]
    if not ended.any():
        return 0.0
    batches = np.digitize(began, edges)
    medians = [np.median(took[batches == batch]) for batch in range(1, number + 1) if (batches == batch).any()]
    reach = students_t(number - 1) / math.sqrt(number)
    known = [values for values in (ended, medians) if len(values) > 1]
    return max(reach * float(np.std(values, ddof=1) / np.mean(values)) for values in known)


def of_draws(found: Array) -> Interval | None:
    if not found.size:
        return None
    low, high = np.percentile(found, [50 * (1 - SURE), 50 * (1 + SURE)])
    return Interval(float(low), float(high))


def of_repeats(values: Sequence[float]) -> Interval | None:
    """Return Student's t interval of the mean; None for fewer than two."""
    if len(values) < 2:
        return None
    middle = float(np.mean(values))
    reach = students_t(len(values) - 1) * float(scipy.stats.sem(values))
    return Interval(max(0.0, middle - reach), middle + reach)


def of_ratio(above: Sequence[float], below: Sequence[float], drawn: tuple[Array, Array]) -> Interval | None:
    """Return how many times the one's goodput the other's is: of repeats where both have some, else of draws.

    Of repeats by logarithms and Welch's t, since a ratio of 2 is as far from 1 as one of 0.5.
    """
    if min(len(above), len(below)) >= 2 and min(*above, *below) > 0:
        found = difference(below, above)
        return Interval(math.exp(found.mean - found.reach), math.exp(found.mean + found.reach))
    one, other = drawn
    rows = min(len(one), len(other))
    if not rows or not other[:rows].min():
        return None
    return of_draws(one[:rows] / other[:rows])


class Difference(NamedTuple):
    """`mean`: how much more the one is than the other; `reach`: to either side of it, where its 95 % interval ends.

    `p`: the chance that two samples of the same thing differ by so much or more.
    """

    mean: float
    reach: float
    p: float


def difference(before: Sequence[float], after: Sequence[float]) -> Difference:
    """Compare by how many times the one is the other (logarithms), where both can be; else by how much more.

    Two samples of two values at the least, which may spread differently (B. L. Welch, 1947).
    """
    both = [np.log(values) if min(*before, *after) > 0 else np.array(values) for values in (after, before)]
    shares = [float(np.var(values, ddof=1)) / len(values) for values in both]
    mean, error = float(np.mean(both[0]) - np.mean(both[1])), math.sqrt(sum(shares))
    if not error:
        return Difference(mean, 0.0, float(mean == 0))
    beyond = sum(share**2 / (len(values) - 1) for share, values in zip(shares, both, strict=True))
    freedom = sum(shares) ** 2 / beyond
    return Difference(mean, students_t(freedom) * error, float(2 * scipy.stats.t.sf(abs(mean) / error, freedom)))


def between_two(values: Sequence[float]) -> float:
    """Return the share by which two more values of the same kind differ at the most, 19 times of 20.

    The prediction interval of a difference: t · s · √2, of logarithms, with what is not known of s in t.
    """
    spread = float(np.std(np.log(values), ddof=1))
    return math.expm1(students_t(len(values) - 1) * spread * math.sqrt(2))


# --- steadiness ---------------------------------------------------------------------------------

GROUPS = 12  # of successive pages, whose medians are looked at
FEWEST_IN_A_GROUP = 5
UNLIKELY = 0.01  # that steady pages seem to have a trend
DRIFT = 0.15  # share of the median response time by which they may change over the window
SHORTEST_STALL = 1 / 40  # of the window
STALL = 0.25  # where enough pages are to end, at least this share of them does


def drift(pages: Sequence[Page]) -> float | None:
    """Return by which share of their median the response times change over the window; None where they do not.

    Mann and Kendall's test of the medians of successive groups of pages (H. B. Mann, 1945), and Theil and Sen's slope,
    which a few outliers do not move.
    """
    took = [page.took for page in begun(pages)]
    number = min(GROUPS, len(took) // FEWEST_IN_A_GROUP)
    if number < FEWEST_BLOCKS:
        return None
    edges = [round(index * len(took) / number) for index in range(number + 1)]
    medians = [float(np.median(took[start:end])) for start, end in itertools.pairwise(edges)]
    if scipy.stats.kendalltau(range(number), medians).pvalue > UNLIKELY:
        return None
    slope, *_ = scipy.stats.theilslopes(medians)
    change = float(slope) * (number - 1) / float(np.median(medians))
    return change if abs(change) > DRIFT else None


def stall(pages: Sequence[Page], window: float, turn: float, enough: int) -> float | None:
    """Return where in the window (seconds) hardly a page ended although many were to; None where pages ended all along.

    A stretch is long enough for `enough` pages, for two turns of users in lockstep, and for a share of the window: a
    fast target has so many shorter stretches that some are empty by chance.
    """
    ended = ends(pages, window)
    if not ended.size:
        return None
    length = max(2 * turn, enough * window / len(ended), SHORTEST_STALL * window)
    if length > window / 2:
        return None
    starts = np.concatenate(([0.0], ended[ended <= window - length], [window - length]))
    counted = np.searchsorted(ended, starts + length) - np.searchsorted(ended, starts, side="right")
    fewest = int(counted.argmin())
    return float(starts[fewest]) if counted[fewest] < STALL * len(ended) * length / window else None
