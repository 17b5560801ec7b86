from __future__ import annotations

import re
from random import Random
from statistics import quantiles

import pytest

from services.api.behaviour import Behaviour
from services.bounds import OutOfBounds


def outcomes(behaviour: Behaviour, seed: int = 1, calls: int = 2000) -> list[tuple[float, bool, bool]]:
    random = Random(seed)
    return [(o.wait, o.fails, o.hangs) for o in (behaviour.outcome(random) for _ in range(calls))]


def test_the_same_seed_gives_the_same_sequence_and_another_seed_another() -> None:
    behaviour = Behaviour(latency=1, jitter=0.5, fail=0.1, hang=0.1)
    assert outcomes(behaviour, seed=1) == outcomes(behaviour, seed=1)
    assert outcomes(behaviour, seed=1) != outcomes(behaviour, seed=2)


def test_jitter_only_lengthens_the_wait_and_uses_its_whole_range() -> None:
    waits = [wait for wait, _, _ in outcomes(Behaviour(latency=1, jitter=0.5, fail=0, hang=0))]
    assert 1.0 <= min(waits) < 1.05
    assert 1.45 < max(waits) <= 1.5


def test_a_lognormal_wait_has_the_median_and_the_p99_that_were_asked_for() -> None:
    waits = [wait for wait, _, _ in outcomes(Behaviour(0.1, 0, 0, 0, latency_p99=0.5), calls=20_000)]
    median, p99 = quantiles(waits, n=100)[49], quantiles(waits, n=100)[98]
    assert median == pytest.approx(0.1, rel=0.03)
    assert p99 == pytest.approx(0.5, rel=0.08)
    assert all(wait == 0.1 for wait, _, _ in outcomes(Behaviour(0.1, 0, 0, 0, latency_p99=0.1)))


@pytest.mark.parametrize("spread", [{"jitter": 1.0}, {"jitter": 0.0, "latency_p99": 1.0}])
def test_correlated_calls_of_a_page_wait_equally_long_and_those_of_another_do_not(spread: dict[str, float]) -> None:
    behaviour = Behaviour(latency=0.1, fail=0, hang=0, correlated=1, **spread)
    random = Random(1)
    pages = {page: {behaviour.outcome(random, page).wait for _ in range(10)} for page in ("a", "b", "c")}
    assert [len(waits) for waits in pages.values()] == [1, 1, 1]
    assert len(set.union(*pages.values())) == 3
    assert len({behaviour.outcome(random).wait for _ in range(10)}) == 10, "without a page each call is alone"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latency": "1", "latency_p99": "0.5"}, "latency_p99 must be a number from 1 to 60 seconds; it is '0.5'"),
        ({"latency": "0", "latency_p99": "0.5"}, "latency_p99 must be a number from 0 to 0 without a latency"),
        ({"jitter": "1", "latency_p99": "2"}, "jitter must be a number from 0 to 0 with a latency_p99; it is '1'"),
        ({"correlated": "0.5"}, "correlated must be a whole number from 0 to 1"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(changes: dict[str, str], said: str) -> None:
    with pytest.raises(OutOfBounds, match=re.escape(said)):
        Behaviour(latency=1, jitter=0, fail=0, hang=0).changed(changes)


def test_shares_of_calls_fail_and_hang() -> None:
    found = outcomes(Behaviour(latency=0, jitter=0, fail=0.2, hang=0.05))
    assert 0.15 < sum(fails for _, fails, _ in found) / len(found) < 0.25
    assert 0.02 < sum(hangs for _, _, hangs in found) / len(found) < 0.08


def test_none_fail_at_zero_and_all_at_one() -> None:
    assert not any(fails or hangs for _, fails, hangs in outcomes(Behaviour(0, 0, fail=0, hang=0)))
    assert all(fails and hangs for _, fails, hangs in outcomes(Behaviour(0, 0, fail=1, hang=1)))


def test_turning_one_knob_leaves_the_other_random_numbers_alone() -> None:
    plain = outcomes(Behaviour(latency=0, jitter=1, fail=0, hang=0))
    failing = outcomes(Behaviour(latency=0, jitter=1, fail=0.5, hang=0))
    assert [wait for wait, _, _ in plain] == [wait for wait, _, _ in failing]


def test_a_query_changes_only_what_it_names() -> None:
    changed = Behaviour(latency=1, jitter=0.5, fail=0, hang=0).changed({"latency": "2"})
    assert changed == Behaviour(latency=2, jitter=0.5, fail=0, hang=0)
