"""What theory predicts for a page that waits. Pure.

With latency L, jitter J, fan-out F, S slots, N users or A arrivals per second, CPU per page c on k cores, i CPU seconds
that the instrument (api and load generator) takes per page on the m cores of the machine, and a pool of P connections
or threads that make calls; seconds and pages/s:

    R = L + J·F/(F+1) + c            side by side;  F·(L + J/2) + c  one call after the other (answers.py)
    D = max(c/k, (c+i)/m)            a page's time at the cores that it shares with all others
    X ≤ min(N/R, S/R, 1/D, P/(F·L))  Little's law; the smallest term is the bottleneck; A in the place of N/R when open

Closed loop: X is that of the network of queues (queues.py), in which at most S pages share the cores and the others
wait outside; P/(F·L) is a bound. Open loop: X is the smallest term, and a page waits as in an open queue while that is
A, else A/X − 1 seconds for every second since the load began.

The network's round trip to the api is added to R as L is: once side by side, F times one after the other. A user's
round trip to the target is part of the response time, but the target is free meanwhile, as it is while a user thinks.

A call that is not answered within its timeout T fails after T, and its page with it. So R becomes the mean over whole
and failed pages, X counts both, and goodput is the share of X that is whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from loadtests.analysis import answers, queues
from loadtests.model.experiment import Arm
from loadtests.model.load_level import PATIENCE, PAUSE_AFTER_FAILURE, LoadLevel
from loadtests.model.prediction import Deployment, Prediction
from loadtests.model.settings import Settings
from loadtests.model.units import digits

OF_QUERIES = ("orm_sync", "orm_to_async", "orm_async", "orm_gather")
ONE_AFTER_THE_OTHER = {"sequential", *OF_QUERIES}
OF_THREADS = {"threadpool", "stream_threads"}  # whose calls wait for a thread, and that for as long as it takes


def cores(workers: int, limit: float | None, machine: float) -> float:
    """Return the cores that a target can really have: one a worker, no more than its limit or the machine has.

    `limit`: None where nothing limits it, as for local processes.
    """
    return min(workers, limit or math.inf, machine)


def waits(target: Mapping[str, str], api: Mapping[str, str]) -> dict[str, float]:
    """Return a deployment's timeouts and its `hang`, from the variables of the target and of the api.

    Raises ValueError where one of them is not a number.
    """
    texts = {
        "call_timeout": target.get("CALL_TIMEOUT"),
        "pool_timeout": target.get("CONNECT_TIMEOUT"),
        "hang": api.get("HANG"),
    }
    return {name: float(text) for name, text in texts.items() if text}


@dataclass(frozen=True, slots=True)
class Calls:
    """What becomes of a page's calls. Seconds, and shares of pages.

    `whole`: a page with all its answers; `mean`: any page; `failed`: one that lacks an answer; `busy`: all calls of any
    page together, which is what a pool is taken for.
    """

    whole: float
    mean: float
    failed: float | None
    busy: float
    failing: float


def calls(settings: Settings, strategy: str, deployment: Deployment) -> Calls:
    """Return how long a page waits for its calls, whose timeout may be shorter than their answers take.

    Queries have no timeout, never hang and never fail.
    """
    fan_out, serial, fails = settings.fan_out, strategy in ONE_AFTER_THE_OTHER, strategy not in OF_QUERIES
    timeout = deployment.call_timeout if fails else math.inf
    soon = answers.in_time(settings, timeout)
    answer = min(answers.slowest(settings, 1, soon), timeout)
    slowest = answers.slowest(settings, answers.independent_calls(settings), soon)
    whole = fan_out * answer if serial else min(slowest, timeout)
    late = 0.0 if settings.correlated else 1 - soon  # of calls; those of a page are late together, or each by itself
    hang = deployment.hang if math.isfinite(timeout) else 0.0  # else such a page never ends
    silent = 1 - (1 - late) * (1 - hang) if fails else 0.0
    good = (1 - silent) * (1 - settings.fail) if fails else 1.0
    share_whole = good**fan_out
    bad = 1 - good
    ends_badly = (silent * timeout if silent else 0.0) + (bad - silent) * answer  # seconds of a bad call, × its share
    if serial:  # the first that fails is the last that is made
        made = (1 - share_whole) / bad if bad else fan_out
        mean = busy = made * (good * answer + ends_badly)
    else:
        any_silent = 1 - (1 - silent) ** fan_out
        mean = (any_silent * timeout if any_silent else 0.0) + (1 - any_silent) * whole
        busy = fan_out * (good * answer + ends_badly)
    if settings.correlated and soon < 1:  # then the first call is late, or all of them
        share_whole *= soon
        mean = soon * mean + (1 - soon) * timeout
        busy = soon * busy + (1 - soon) * timeout * (1 if serial else fan_out)
    failed = (mean - share_whole * whole) / (1 - share_whole) if share_whole < 1 else None
    return Calls(whole, mean, failed, busy, 1 - share_whole)


def page_time(settings: Settings, strategy: str) -> float:
    """Return the seconds that an unhurried page waits for its calls when all of them are answered."""
    return calls(settings, strategy, Deployment(None)).whole


def predict(  # noqa: PLR0913  # the formula has that many terms
    settings: Settings,
    strategy: str,
    deployment: Deployment,
    step: LoadLevel,
    cpu_per_page: float = 0.0,
    *,
    cpu_beside: float = 0.0,
    holds: float = 0.0,
    after: float = math.inf,
    patience: float = PATIENCE,
) -> Prediction:
    """Return what theory predicts. `cpu_per_page` in CPU seconds; 0 leaves CPU out, except what the page computes.

    `cpu_beside`: CPU seconds that the api and the load generator take for a page. `holds`: seconds for which a page
    blocks its thread, which without slots is everybody's event loop. `after`: seconds since the first arrival, in an
    open loop. `patience`: seconds after which a user leaves.
    """
    cpu_per_page = max(cpu_per_page, settings.work)
    page = calls(settings, strategy, deployment)
    trip = 0.0 if strategy in OF_QUERIES else deployment.api_round_trip
    own = cpu_per_page + holds + trip * (settings.fan_out if strategy in ONE_AFTER_THE_OTHER else 1)
    whole, mean = page.whole + own, page.mean + own
    failed = None if page.failed is None else page.failed + own
    if whole + deployment.round_trip > patience:
        return gives_up(whole + deployment.round_trip, patience, deployment, step, page)
    away = deployment.round_trip + (0.0 if step.is_open else page.failing * PAUSE_AFTER_FAILURE)
    pool = deployment.pools.get(strategy)
    demand = max(cpu_per_page / deployment.cores, (cpu_per_page + cpu_beside) / deployment.machine)
    loop = holds / deployment.workers if deployment.slots is None else 0.0  # of an event loop that pages block
    offered = step.amount if step.is_open else per_second(step.amount, mean + away + step.think)
    limits = {
        "arrivals" if step.is_open else "users": offered,
        "slots": math.inf if deployment.slots is None else per_second(deployment.slots, mean),
        "blocking": per_second(1, loop),
        "cpu": per_second(1, demand),
        "pool": math.inf if pool is None else per_second(pool, page.busy + settings.fan_out * trip),
    }
    bottleneck = min(limits, key=lambda name: limits[name])  # of equals the first
    shared = max(demand, loop)  # seconds at what all pages of the target share
    if step.is_open:
        ended = limits[bottleneck]
        backlog = (step.amount - ended) * after if step.amount > ended else 0.0
        queued = backlog / ended if backlog else open_wait(settings, strategy, deployment, ended, mean, shared)
        asked_for = ended * (mean + queued)
    else:
        ended = min(limits["pool"], closed(step, deployment.slots, mean - shared, shared, away))
        queued = max(0.0, step.amount / ended - mean - away - step.think) if ended else 0.0
        asked_for = step.amount - ended * (step.think + away) if math.isfinite(ended) else step.amount
    # A page out of slots waits outside; one that waits for CPU or for a pooled connection does so inside.
    inside = asked_for if deployment.slots is None else min(asked_for, deployment.slots)
    unhurried = deployment.round_trip + (whole if page.failing < 1 or failed is None else failed)
    predicted = Prediction(
        goodput=ended * (1 - page.failing),
        page_time=unhurried,
        response_time=unhurried + queued,
        bottleneck=bottleneck,
        pages_in_flight=inside,
        calls_in_flight=ended * page.busy if math.isfinite(ended) else 0.0,
        ended=ended,
        failing=page.failing,
        failure_time=None if failed is None else failed + queued + deployment.round_trip,
        reason=why_calls_fail(settings, deployment) if page.failing else "",
    )
    return cut_short(predicted, strategy, deployment, queued, patience)


def predict_arm(arm: Arm, settings: Settings, deployment: Deployment, step: LoadLevel, **known: float) -> Prediction:
    """Return what theory predicts for the pages of an arm, with what is `known` of them."""
    own = deployment.with_client(arm.strategy, arm.pool, arm.timeout)
    known = {"cpu_per_page": arm.cpu, **known}
    return predict(settings, arm.strategy, own, step, holds=arm.holds, patience=arm.patience or PATIENCE, **known)


def closed(step: LoadLevel, slots: int | None, delay: float, shared: float, away: float) -> float:
    """Return the pages/s, whole or not, of users who each wait for their page before they ask for the next.

    `delay`: seconds of a page during which it holds up no other; `shared`: at what all pages share; `away`: on the way
    to its user and back, and before the user asks again.
    """
    users, away = step.users or 0, step.think + away
    if slots is None:
        return queues.throughputs(users, delay + away, shared)[-1]
    rates = queues.throughputs(min(users, slots), delay, shared)
    return queues.with_think_time(users, away, rates) if away else rates[-1]


def open_wait(  # noqa: PLR0913, PLR0917  # what a page waits for
    settings: Settings, strategy: str, deployment: Deployment, rate: float, mean: float, shared: float
) -> float:
    """Return the seconds that pages which arrive at random wait on average, for the cores and then for a slot."""
    at_cores = shared * rate * shared / (1 - rate * shared) if rate * shared < 1 else 0.0  # beyond there is no mean
    if deployment.slots is None:
        return at_cores
    held = mean + at_cores
    calls_at_once = 1 if strategy in ONE_AFTER_THE_OTHER else answers.independent_calls(settings)
    wait = queues.mean_wait(deployment.slots, rate * held, held, answers.variation(settings, calls_at_once))
    return at_cores + (wait if math.isfinite(wait) else 0.0)


def cut_short(
    predicted: Prediction, strategy: str, deployment: Deployment, queued: float, patience: float
) -> Prediction:
    """Return the prediction as the timeouts leave it that end a page's wait for its turn."""
    limited = predicted.bottleneck == "pool" and strategy not in OF_THREADS
    longest = deployment.pool_timeout if limited else math.inf
    if predicted.failing == 1:
        # Nobody waits longer for a pooled connection than the pool lets.
        failed = predicted.page_time + min(queued, longest)
        return replace(predicted, bottleneck="failures", response_time=failed, failure_time=failed)
    if queued > longest:
        response_time, failure_time = predicted.page_time + longest, longest
        reason = f"calls wait {longest:g} s for a pooled connection, and then fail"
    elif patience < predicted.response_time < math.inf:  # without an end there is no moment to speak of
        response_time = failure_time = patience
        reason = f"users leave after {patience:g} s"
    else:
        return predicted
    return replace(predicted, failing=None, response_time=response_time, failure_time=failure_time, reason=reason)


def gives_up(whole: float, patience: float, deployment: Deployment, step: LoadLevel, page: Calls) -> Prediction:
    """Return what is left where every user leaves before the page can be there."""
    asking = step.amount * patience if step.is_open else step.amount
    return Prediction(
        goodput=0.0,
        page_time=whole,
        response_time=patience,
        bottleneck="failures",
        pages_in_flight=asking if deployment.slots is None else min(asking, deployment.slots),
        calls_in_flight=per_second(asking, patience) * page.busy,
        ended=per_second(asking, patience),
        failing=1.0,
        failure_time=patience,
        reason=f"users leave after {patience:g} s, and a page takes {whole:g} s",
    )


def why_calls_fail(settings: Settings, deployment: Deployment) -> str:
    """Return the reason, with the variables' values that make it one."""
    reasons = []
    if answers.in_time(settings, deployment.call_timeout) < 1:
        takes = f"{'up to ' if settings.jitter else ''}{settings.latency + settings.jitter:g} s"
        if answers.lognormal(settings):
            takes = f"{settings.latency_p99:g} s and more for one of 100"
        reasons.append(f"calls are given up after {deployment.call_timeout:g} s, and the api takes {takes}")
    if deployment.hang:
        reasons.append(f"the api never answers {digits(100 * deployment.hang)} % of all calls")
    if settings.fail:
        reasons.append(f"the api answers {digits(100 * settings.fail)} % of all calls with 503")
    return "; ".join(reasons)


def per_second(amount: float, seconds: float) -> float:
    return amount / seconds if seconds else math.inf
