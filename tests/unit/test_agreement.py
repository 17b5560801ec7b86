from __future__ import annotations

import pytest

from benchmarks import agreement


@pytest.mark.parametrize(("of_the_lab", "met"), [(51.0, True), (51.6, False), (48.4, False)])
def test_generators_agree_where_the_medians_of_their_rounds_are_within_3_percent(
    *, of_the_lab: float, met: bool
) -> None:
    measured = {
        ("wsgi", agreement.LAB): [{"goodput": rate} for rate in (of_the_lab, 10.0, 90.0)],
        ("wsgi", agreement.WRK): [{"goodput": rate} for rate in (50.0, 20.0, 51.0)],
    }
    goal = agreement.agrees("wsgi", agreement.WRK, "goodput", measured)
    assert goal.met == met


def test_wrks_goodput_is_that_of_a_long_run_less_that_of_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since it begins with nothing in flight and ends with all of its users' pages."""
    runs = {agreement.WARM_UP: 70.0, agreement.WARM_UP + agreement.SECONDS: 570.0}

    def wrk(url: str, seconds: int) -> dict[str, float]:
        return {"pages": runs[seconds], "seconds": float(seconds), "p50": 0.2, "p95": 0.3}

    monkeypatch.setattr(agreement, "wrk", wrk)
    assert agreement.by_wrk("http://x") == {"goodput": 500 / agreement.SECONDS, "p50": 0.2, "p95": 0.3}
