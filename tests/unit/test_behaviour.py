from __future__ import annotations

from random import Random

from services.api.behaviour import Behaviour


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
