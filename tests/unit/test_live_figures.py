from __future__ import annotations

import json
from collections.abc import Sequence

from loadtests.live import figures
from loadtests.live.figures import points, row, summary, whole
from loadtests.live.history import Sample
from loadtests.model.summary import Plotted
from loadtests.report.plots import ASGI, PLOTS, WSGI
from tests.unit.factories import TARGETS
from tests.unit.live import history


def shown(samples: Sequence[Sample]) -> Plotted:
    return summary(TARGETS.values(), "parallel", samples)


def nothing() -> None:
    pass


def test_the_live_figures_are_plots_of_the_report() -> None:
    assert set(figures.READING) <= set(PLOTS)
    found = whole(shown(history(20).samples), nothing)
    assert list(found) == list(figures.READING)
    for figure in found.values():
        names = " ".join(trace["name"] for trace in figure["data"])
        assert "WSGI" in names
        assert "ASGI" in names
        assert all(len(trace["x"]) == len(trace["y"]) == 20 for trace in figure["data"])
        assert all(trace["type"] == "scatter" and trace["mode"] == "lines" for trace in figure["data"])


def test_a_target_has_the_same_colour_in_every_figure() -> None:
    for figure in whole(shown(history(3).samples), nothing).values():
        for trace in figure["data"]:
            expected = WSGI if trace["name"].startswith("WSGI") else ASGI
            assert trace["line"]["color"] == expected
    assert figures.colours(TARGETS.values()) == {"wsgi": WSGI, "asgi": ASGI}


def test_what_is_appended_makes_the_same_as_the_whole() -> None:
    """Before the first second, and with one second at a time."""
    made = history(0)
    grown = whole(shown(made.samples), nothing)
    for second in range(1, 7):
        more = history(second)
        for title, traces in points(shown(more.since(second - 1)), nothing).items():
            for trace, (x, y) in zip(grown[title]["data"], traces, strict=True):
                trace["x"] = [*trace["x"], *x]
                trace["y"] = [*trace["y"], *y]
    finished = whole(shown(history(6).samples), nothing)
    for title, figure in finished.items():
        drawn = [(trace["x"], trace["y"]) for trace in figure["data"]]
        assert [(trace["x"], trace["y"]) for trace in grown[title]["data"]] == drawn


def test_an_hour_is_sent_in_less_than_three_megabytes() -> None:
    made = history(180)
    assert 10 * len(json.dumps(whole(shown(made.samples), nothing))) < 3_000_000


def test_the_table_behind_the_plots_has_a_cell_for_every_figure() -> None:
    cells = row(history(5).samples[-1], ["wsgi", "asgi", "other"])
    assert len(cells) == 1 + 3 * len(figures.HEADINGS)
    assert cells[:6] == ["5", "100", "10", "10", "10", "10"]
    assert cells[-1] == "–"
