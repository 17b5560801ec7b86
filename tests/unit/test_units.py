from __future__ import annotations

import math

import pytest

from loadtests.model.units import digits, duration, size


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (0, "0"),
        (0.000812, "0.000812"),
        (0.09996, "0.100"),
        (0.5, "0.500"),
        (9.873, "9.87"),
        (9.996, "10.0"),
        (97, "97.0"),
        (99.96, "100"),
        (1234.5, "1,234"),
        (-0.0123, "-0.0123"),
    ],
)
def test_a_number_has_three_significant_digits(value: float | None, shown: str) -> None:
    assert digits(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.000412, "412 µs"),
        (0.0009996, "1.00 ms"),
        (0.00812, "8.12 ms"),
        (0.0997, "99.7 ms"),
        (0.99949, "999 ms"),
        (0.9996, "1.00 s"),
        (1.05, "1.05 s"),
        (120.4, "120 s"),
        (-0.0123, "-12.3 ms"),
    ],
)
def test_a_duration_has_the_unit_that_fits(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(None, "–"), (0, "0 B"), (812, "812 B"), (41_000, "41.0 KB"), (61_230_000, "61.2 MB"), (1.5e9, "1.50 GB")],
)
def test_an_amount_of_memory_has_the_unit_that_fits(amount: float | None, shown: str) -> None:
    assert size(amount) == shown
