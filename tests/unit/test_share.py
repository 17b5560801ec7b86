from __future__ import annotations

from itertools import count, islice, pairwise, takewhile
from random import Random

import pytest

from loadtests.model.arrivals import SHAPES
from loadtests.model.share import ALONE, Share


@pytest.mark.parametrize(("users", "of"), [(1, 1), (7, 3), (40, 3), (3, 3), (100, 7)])
def test_every_user_is_one_generators_and_nobody_has_two_more_than_another(users: int, of: int) -> None:
    shares = [Share(index, of) for index in range(of)]
    numbers = [share.number(users) for share in shares]
    assert sum(numbers) == users
    assert max(numbers) - min(numbers) <= 1
    dealt = [list(islice(share.dealt(count()), share.number(users))) for share in shares]
    assert sorted(user for one in dealt for user in one) == list(range(users))


@pytest.mark.parametrize("shape", SHAPES)
def test_together_they_send_exactly_what_one_alone_would(shape: str) -> None:
    def moments() -> list[float]:
        return list(takewhile(lambda moment: moment < 60, SHAPES[shape](50.0, Random("load"))))

    dealt = [list(Share(index, 3).thinned(iter(moments()), Random("dealt"))) for index in range(3)]
    assert sorted(moment for one in dealt for moment in one) == moments()
    assert all(0.25 < len(one) / len(moments()) < 0.42 for one in dealt)


def test_the_arrivals_of_each_stay_random() -> None:
    """The gaps of a Poisson process vary as much as they last (their coefficient of variation is 1)."""
    arrivals = takewhile(lambda moment: moment < 400, SHAPES["poisson"](50.0, Random("load")))
    own = list(Share(1, 3).thinned(arrivals, Random("dealt")))
    gaps = [later - earlier for earlier, later in pairwise(own)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert 0.95 < variance**0.5 / mean < 1.05


def test_one_alone_does_everything() -> None:
    assert ALONE.number(7) == 7
    assert list(islice(ALONE.dealt(count()), 3)) == [0, 1, 2]
    assert list(ALONE.thinned(iter([0.1, 0.2]), Random("any"))) == [0.1, 0.2]
