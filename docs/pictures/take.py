"""The README's picture, from the latest run of the default experiment, kept with its summary.json and its report, and
one for each lesson, from the latest run of its experiment: `make picture`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from loadtests.report.claims import slim

HERE = Path(__file__).resolve().parent
RESULTS = Path(os.environ.get("RESULTS") or HERE.parents[1] / "results")
LESSONS = {  # the plot that shows a lesson's effect
    "fan-out": "Response time",
    "external-concurrency": "Goodput",
    "slots": "Goodput",
    "async-under-wsgi": "Goodput",
    "blocking-call": "Goodput",
    "http-client": "CPU per page",
    "database": "Goodput",
}


def main() -> None:
    runs = sorted(RESULTS.glob("2*-external-concurrency/summary.json"))
    if not runs:
        sys.exit("there is no run of external-concurrency yet: make loadtest")
    latest = runs[-1].parent
    summary = json.loads((latest / "summary.json").read_text())
    if summary["verdict"]["status"] != "confirmed":
        sys.exit(f"the latest run is {summary['verdict']['status']}: {summary['verdict']['sentence']}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900}, device_scale_factor=1.5)
        page.goto((latest / "report.html").as_uri())
        page.wait_for_selector(".js-plotly-plot .scatterlayer .trace")
        page.add_style_tag(content=".modebar { display: none !important; }")
        bottom = page.locator(".plots").bounding_box()
        if bottom is None:
            sys.exit("the report shows no plots")
        clip = {"x": 0, "y": 0, "width": 1200, "height": bottom["y"] + bottom["height"] + 8}
        page.screenshot(path=HERE / f"{summary['experiment']}.png", clip=clip, full_page=True)  # type: ignore[arg-type]
        page.set_viewport_size({"width": 640, "height": 900})
        for experiment, title in LESSONS.items():
            if of_lesson := [path for path in sorted(RESULTS.glob(f"2*-{experiment}/summary.json")) if confirmed(path)]:
                page.goto((of_lesson[-1].parent / "report.html").as_uri())
                page.wait_for_selector(".js-plotly-plot .main-svg")
                page.add_style_tag(content=".modebar { display: none !important; }")
                plot = page.locator("figure", has=page.get_by_role("heading", name=title)).first
                plot.screenshot(path=HERE.parent / "lessons" / f"{experiment}.png")
                figures = slim(json.loads(of_lesson[-1].read_text()))
                (HERE.parent / "lessons" / f"{experiment}.json").write_text(json.dumps(figures, indent=1) + "\n")
        browser.close()
    shutil.copyfile(latest / "summary.json", HERE / f"{summary['experiment']}.summary.json")
    shutil.copyfile(latest / "report.html", HERE.parent / "sample-report.html")


def confirmed(summary: Path) -> bool:
    return bool(json.loads(summary.read_text())["verdict"]["status"] == "confirmed")


if __name__ == "__main__":
    main()
