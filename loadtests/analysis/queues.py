"""How long pages queue, and how many are served: closed and open queues. Pure. Seconds, pages/s.

A target is two stations: pages wait for others side by side (a delay, whatever its distribution), and they share its
cores (processor sharing). For N users who always wait for a page the exact throughput of such a network follows from
that of N − 1 (M. Reiser and S. S. Lavenberg, Mean-Value Analysis, 1980). min(N/R, 1/D) is only its asymptote: a bound,
which it stays furthest below where the two meet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

FREE_AT_ONCE = 0.95  # the share of pages that should find a slot free


def throughputs(users: int, delay: float, demand: float) -> list[float]:
    """Return the pages/s of 1, 2, … so many users; `demand`: seconds of a page at the shared cores."""
    found, queue = [], 0.0
    for number in range(1, users + 1):
        residence = demand * (1 + queue)
        found.append(number / (delay + residence) if delay + residence else math.inf)
        queue = found[-1] * residence if residence else 0.0
    return found


def with_think_time(users: int, think: float, rates: Sequence[float]) -> float:
    """Return the pages/s of users who think before they ask a target that finishes `rates[n - 1]` pages/s of n.

    The target as one station whose rate depends on its pages (K. M. Chandy, U. Herzog and L. Woo, 1975), of as many
    pages as users: the last rate holds for all above. A birth-death process, summed in logarithms.
    """
    weights, logarithm = [0.0], 0.0
    for number in range(1, users + 1):
        rate = rates[min(number, len(rates)) - 1]
        logarithm += math.log((users - number + 1) / think) - math.log(rate)
        weights.append(logarithm)
    highest = max(weights)
    shares = [math.exp(weight - highest) for weight in weights]
    idle = sum(share * (users - number) for number, share in enumerate(shares)) / sum(shares)
    return idle / think


def waiting_share(slots: int, busy: float) -> float:
    """Return the share of random arrivals that find no slot free, with so many busy on average (A. K. Erlang, 1917).

    Erlang's C, by the recursion of his B; 1 where there are no more slots than are busy.
    """
    if busy >= slots:
        return 1.0
    lost = 1.0
    for number in range(1, slots + 1):
        lost = busy * lost / (number + busy * lost)
    return lost / (1 - busy / slots * (1 - lost))


def mean_wait(slots: int, busy: float, held: float, variation: float) -> float:
    """Return the seconds that a random arrival waits for a slot, on average, where a page holds one for `held` seconds.

    `variation`: the squared coefficient of variation of these times, 0 where all are alike and 1 for exponential ones
    (A. M. Lee and P. A. Longton, 1959). Infinite where there are no more slots than are busy.
    """
    if busy >= slots:
        return math.inf
    return waiting_share(slots, busy) * held / (slots - busy) * (1 + variation) / 2


def slots_for(busy: float) -> int:
    """Return the fewest slots that let FREE_AT_ONCE of random arrivals find one free, with so many busy on average."""
    slots = math.floor(busy) + 1
    while waiting_share(slots, busy) > 1 - FREE_AT_ONCE:
        slots += 1
    return slots
