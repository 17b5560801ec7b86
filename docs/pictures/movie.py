"""The README's moving picture: a live page that is up, for as long as its lines take to part.

`make up`, then `python docs/pictures/movie.py http://127.0.0.1:8089` (needs Chromium).
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

SECONDS = 36  # until WSGI's response time has reached its height
WIDTH, HEIGHT = 1280, 720
SHOWN = (960, 540)
COLOURS = 48


def main(web_ui: str) -> None:
    frames = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(f"{web_ui}/compare")
        page.locator("#span").select_option("60")
        page.get_by_role("button", name="Many users, slow api").click()
        page.locator("h1").click()
        page.keyboard.press("p")
        for _ in range(SECONDS):
            page.wait_for_timeout(1000)
            frame = Image.open(io.BytesIO(page.screenshot())).convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
            frames.append(frame.quantize(COLOURS, dither=Image.Dither.NONE))
        page.keyboard.press("p")
        page.get_by_role("button", name="Stop", exact=True).click()
        browser.close()
    pauses = [*[250] * (len(frames) - 1), 3000]  # ms: four times as fast, and the end stands still
    frames[0].save(
        Path(__file__).with_name("live.gif"), save_all=True, append_images=frames[1:], duration=pauses, loop=0
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
