"""The report in a browser: read on a desk, on a telephone, in the dark and on paper."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from loadtests.report import distributions, html
from loadtests.results import raw
from loadtests.results.summary import summarize
from tests.unit.factories import good_run


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    run = good_run()
    (folder / "raw").mkdir()
    for measured in run.measured:
        raw.keep(folder, measured, [(1e9, 1e9 + 1, measured.response_times)])
    path = folder / "report.html"
    result = summarize(run)
    path.write_text(html.render(result, distributions.drawn(result, folder)))
    return path.as_uri()


def opened(browser: Browser, report: str, width: int, height: int, scheme: str) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report)
    page.wait_for_function(
        "document.querySelectorAll('.js-plotly-plot').length === document.querySelectorAll('figure').length"
    )
    assert complaints == []
    return page


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(390, 844, "light"), (1280, 720, "dark"), (1920, 1080, "light")]
)
def test_it_fits_every_screen_and_axe_finds_no_serious_violation(
    browser: Browser, report: str, width: int, height: int, scheme: str
) -> None:
    page = opened(browser, report, width, height, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in {"serious", "critical"}]
    assert serious == [], json.dumps(serious, indent=1)[:3000]
    page.close()


def test_the_answer_its_conditions_and_the_first_plot_are_in_sight_without_scrolling(
    browser: Browser, report: str
) -> None:
    page = opened(browser, report, 1280, 720, "light")
    for selector in (".headline", ".conditions", "#todo", "figure h2"):
        box = page.locator(selector).first.bounding_box()
        assert box
        assert box["y"] + box["height"] <= 720, selector
    page.close()


def test_a_plots_table_opens_and_shows_what_the_plot_does(browser: Browser, report: str) -> None:
    page = opened(browser, report, 1280, 720, "light")
    figure = page.locator("figure").first
    figure.get_by_text("As a table").click()
    assert "pages/s (predicted" in figure.locator("td").nth(1).inner_text()
    page.close()


def test_on_paper_it_is_dark_on_white_whatever_the_screen_was(browser: Browser, report: str, tmp_path: Path) -> None:
    page = opened(browser, report, 1280, 720, "dark")
    page.emulate_media(media="print")
    background, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (background, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    paper = tmp_path / "report.pdf"
    paper.write_bytes(page.pdf(format="A4"))
    assert paper.read_bytes().startswith(b"%PDF")
    page.close()
