"""The side-by-side page in a real browser, in front of the real servers, in both runtimes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect

from tests.e2e.conftest import SERVICES, Stack, chromium
from tests.integration.waiting import wait_until
from tests.processes import running

PATIENCE = 120_000  # milliseconds; only a hang takes so long
expect.set_options(timeout=PATIENCE)
PICTURE = os.environ.get("COMPARE_PICTURE")  # where the README's picture goes; else nowhere
HERO = (".plot[data-title='Goodput']", ".plot[data-title='Response time']", ".plot[data-title='External concurrency']")


@pytest.fixture(scope="module")
def web_ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """That of local processes, which sends a browser the same files as that of containers."""
    saved = str(tmp_path_factory.mktemp("saved"))
    with running(["locust"], tmp_path_factory.mktemp("logs"), SAVE_TO=saved) as runtime:
        yield runtime.published()["locust"]


class Watched:
    """A page that remembers what it asked of whom, and what it complained about."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.goto(url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


@pytest.fixture(params=["docker", "process"])
def each_web_ui(request: pytest.FixtureRequest) -> str:
    if request.param == "docker":
        return str(request.getfixturevalue("stack").url("locust"))
    return str(request.getfixturevalue("web_ui"))


@contextmanager
def opened(browser: Browser, web_ui: str, **options: Any) -> Iterator[Watched]:
    """The page; what a test has loaded by it ends with it."""
    watched = Watched(browser, f"{web_ui}/compare", **options)
    try:
        yield watched
    finally:
        watched.page.request.post(f"{web_ui}/compare/stop")
        watched.page.request.post(f"{web_ui}/compare/reset")
        watched.context.close()


@pytest.fixture
def compare(browser: Browser, web_ui: str) -> Iterator[Watched]:
    with opened(browser, web_ui) as watched:
        yield watched


@pytest.fixture
def each_compare(browser: Browser, each_web_ui: str) -> Iterator[Watched]:
    with opened(browser, each_web_ui) as watched:
        yield watched


def wait_for(page: Page, title: str, condition: str) -> None:
    """Until it holds for `wsgi` and `asgi`, the newest points; false while there are none."""
    page.wait_for_function(
        """(title) => {
          const drawn = document.querySelector(`.plot[data-title="${title}"]`).data || [];
          const last = (name) => {
            const trace = drawn.find((one) => one.name.startsWith(name));
            return trace && trace.y.length ? trace.y[trace.y.length - 1] : null;
          };
          const wsgi = last("WSGI"), asgi = last("ASGI");
          return wsgi !== null && asgi !== null && CONDITION;
        }""".replace("CONDITION", condition),
        arg=title,
        timeout=PATIENCE,
    )


def test_one_click_shows_the_difference_and_everything_on_the_page_works(
    each_compare: Watched, each_web_ui: str
) -> None:
    page = each_compare.page
    page.get_by_label("users, each").fill("20")
    page.get_by_label("latency s").fill("0.4")
    page.get_by_role("button", name="Start", exact=True).click()
    wait_for(page, "Goodput", "asgi > 0 && wsgi > 0")
    wait_for(page, "External concurrency", "asgi > 10 && wsgi <= 10")
    expect(page.locator("#sentence")).to_contain_text("20 users each")
    expect(page.locator("#reservations")).to_contain_text("loaded at once")

    page.get_by_label("latency s").fill("99")
    page.get_by_label("latency s").press("Tab")
    expect(page.locator("#message")).to_contain_text("LATENCY must be a number from 0 to 10")
    expect(page.get_by_label("latency s")).to_have_attribute("aria-invalid", "true")

    page.get_by_label("latency s").fill("1")
    page.get_by_label("latency s").press("Tab")
    wait_for(page, "Response time", "asgi >= 1 && wsgi >= 1")
    page.wait_for_function(  # on a busy machine a page took a second before, and this is not drawn yet
        "document.querySelector('.plot').layout.annotations.some((one) => one.hovertext === 'latency 1')",
        timeout=PATIENCE,
    )
    expect(page.locator("#marks")).to_contain_text("s: latency 1")

    wait_until(lambda: page.request.post(f"{each_web_ui}/compare/save").ok)  # steady for long enough
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#state")).to_contain_text("stopped")
    expect(page.locator("#sentence")).to_contain_text("Stopped at 20 users each")
    expect(page.locator("#reservations")).to_contain_text("loaded at once")
    page.get_by_role("button", name="Save").click()
    link = page.get_by_role("link", name="Open the report")
    expect(link).to_be_visible()
    expect(page.locator("#message")).to_contain_text("LIVE, not a measurement")
    with page.expect_popup() as opened:
        link.click()
    report = opened.value
    report.wait_for_selector(".js-plotly-plot .trace")
    expect(report.locator(".status")).to_contain_text("Live, not a measurement", ignore_case=True)
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Download everything").click()
    assert re.search(r"-live(-\d)?\.zip$", fetched.value.suggested_filename)  # the second of a second has a number

    page.get_by_role("button", name="Measure this properly").click()
    expect(page.locator("#message")).to_contain_text("Measuring, one target at a time: WSGI", timeout=PATIENCE)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#message")).to_contain_text("INVALID: Incomplete", timeout=PATIENCE)
    expect(page.get_by_role("link", name="Open the report")).to_be_visible()

    page.locator("summary").click()
    expect(page.locator("tbody tr").first).to_be_visible()
    refused = [
        text for text in each_compare.complaints if "400 (BAD REQUEST)" not in text
    ]  # the value that was refused
    assert refused == []
    assert each_compare.hosts == {urlsplit(each_web_ui).netloc}


def test_an_answer_from_before_a_knob_was_turned_does_not_turn_it_back(browser: Browser, web_ui: str) -> None:
    watched = Watched(browser, "about:blank")
    page = watched.page
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route("**/compare/figures", hold)
    page.goto(f"{web_ui}/compare")
    users = page.get_by_label("users, each")
    with page.expect_response("**/compare/knobs"):
        users.fill("7")
        users.blur()
    old = page.request.get(f"{web_ui}/compare/figures").json()
    late[0].fulfill(json=old | {"controls": old["controls"] | {"users": 100}})
    expect(page.locator("#state")).to_contain_text("ready")
    assert users.input_value() == "7"
    page.request.post(f"{web_ui}/compare/knobs", data=old["controls"] | {"users": 8})
    expect(users).to_have_value("8")
    page.request.post(f"{web_ui}/compare/reset")
    watched.context.close()


def test_it_fits_a_laptop_and_a_projector_and_axe_finds_no_serious_violation(
    browser: Browser, web_ui: str, compare: Watched
) -> None:
    """Each in one of the colour schemes, while a load goes on that leaves the machine to the browser."""
    compare.page.get_by_role("button", name="Many users, slow api").click()
    wait_for(compare.page, "External concurrency", "asgi > 10 && wsgi > 0")
    if PICTURE:
        compare.page.wait_for_timeout(30_000)
        compare.page.screenshot(path=PICTURE)
    compare.page.get_by_label("users, each").fill("2")
    compare.page.get_by_label("users, each").press("Tab")
    expect(compare.page.locator("#marks")).to_contain_text("users 2")
    for scheme, width, height in (("light", 1280, 800), ("dark", 1920, 1080)):
        size = {"width": width, "height": height}
        another = Watched(browser, f"{web_ui}/compare", color_scheme=scheme, viewport=size)
        page = another.page
        wait_for(page, "External concurrency", "asgi > 0 && wsgi > 0")
        found = Axe().run(page).response["violations"]
        serious = [one for one in found if one["impact"] in {"serious", "critical"}]
        assert serious == [], json.dumps(serious, indent=1)[:3000]
        for plot in HERO:
            box = page.locator(plot).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= height, f"{plot} ends below the screen"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert another.complaints == []
        another.context.close()


def test_a_presets_sentence_waits_until_the_figures_show_it(browser: Browser, web_ui: str) -> None:
    watched = Watched(browser, "about:blank")
    page = watched.page
    shows: list[str] = []
    asked: list[str] = []

    def now(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(json=route.fetch().json() | {"true": shows})

    page.route("**/compare/figures", now)
    page.route("**/compare/data*", now)
    page.route("**/compare/start", lambda route: route.fulfill(json={"message": "Started."}))
    page.goto(f"{web_ui}/compare")
    message = page.locator("#message")
    page.get_by_role("button", name="As many users as slots").click()
    expect(message).to_contain_text("as soon as it shows")
    shows.append("external-concurrency")
    before = len(asked)
    while len(asked) < before + 2:
        page.wait_for_event("response")
    expect(message).to_contain_text("as soon as it shows")
    shows.append("slots")
    expect(message).to_contain_text("Nobody queues, and the two tie")
    watched.context.close()


@contextmanager
def another_site(page: str) -> Iterator[str]:
    """A page at an address of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ATTACK = """async (lab) => {
  const text = { method: "POST", mode: "no-cors", headers: { "Content-Type": "text/plain" } };
  const form = { ...text, headers: { "Content-Type": "application/x-www-form-urlencoded" } };
  const tried = [
    fetch(`${lab}/swarm`, { ...form, body: "user_count=5&spawn_rate=5" }),
    fetch(`${lab}/compare/start`, { ...text, body: "{}" }),
    fetch(`${lab}/compare/knobs`, { ...text, body: "{}" }),
    fetch(`${lab}/stats/reset`, text),
    fetch(`${lab}/user`, { ...text, body: '{"user_class_name": "AsgiUser", "host": "http://evil.example"}' }),
  ];
  await Promise.allSettled(tried);
  const read = await Promise.allSettled([fetch(`${lab}/compare/data`), fetch(`${lab}/stats/requests`)]);
  return read.map((one) => one.status);
}"""


def test_a_page_of_another_site_neither_starts_nor_reads_anything(browser: Browser, web_ui: str) -> None:
    with another_site("<title>evil</title>") as site:
        for address in (site, site.replace("127.0.0.1", "localhost")):
            watched = Watched(browser, address)
            assert watched.page.evaluate(ATTACK, web_ui) == ["rejected", "rejected"]
            assert urlsplit(web_ui).netloc in watched.hosts, "the lab was asked"
            watched.page.goto(f"{web_ui}/compare")
            expect(watched.page.locator("#state")).to_contain_text("ready")
            watched.context.close()


def test_a_name_that_somebody_pointed_at_this_machine_leads_nowhere(browser: Browser, web_ui: str) -> None:
    port = urlsplit(web_ui).port
    flags = ["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1"]
    with browser.browser_type.launch(executable_path=chromium(), args=flags) as rebound:
        page = rebound.new_page()
        answer = page.goto(f"http://evil.example:{port}/compare/data")
        assert answer is not None
        assert answer.status == 403
        assert "does not answer to the name" in answer.text()


def test_in_containers_nothing_is_published_beyond_this_machine(stack: Stack) -> None:
    for service in SERVICES:
        ports = stack.inspect(service)["NetworkSettings"]["Ports"]
        assert {one["HostIp"] for bound in ports.values() for one in bound or ()} == {"127.0.0.1"}
    published = {urlsplit(stack.url(service)).port for service in SERVICES}
    addresses = [one.laddr for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    assert {address.ip for address in addresses if address and address.port in published} == {"127.0.0.1"}


def test_locusts_own_form_starts_and_stops_the_lab(browser: Browser, web_ui: str) -> None:
    watched = Watched(browser, web_ui)
    page = watched.page
    number, anew = page.get_by_label("Number of users"), page.get_by_role("button", name="New", exact=True)
    expect(number.or_(anew)).to_be_visible()
    if anew.is_visible():  # something ran before
        anew.click()
    number.fill("4")
    with page.expect_response("**/swarm") as answer:
        page.get_by_role("button", name="Start").click()
    assert answer.value.json()["success"], answer.value.text()
    assert page.request.get(f"{web_ui}/compare/figures").json()["running"]
    with page.expect_response("**/stop") as answer:
        page.get_by_role("button", name="Stop").click()
    assert answer.value.json()["success"]
    assert not page.request.get(f"{web_ui}/compare/figures").json()["running"]
    page.request.post(f"{web_ui}/compare/reset")
    watched.context.close()


def test_the_keyboard_reaches_every_control(compare: Watched) -> None:
    page = compare.page
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.name || document.activeElement.textContent"
            )
        )
    controls = {
        "theme",
        "projector",
        "span",
        "start",
        "reset",
        "save",
        "targets",
        "users",
        "strategy",
        "fan_out",
        "latency",
        "jitter",
        "latency_p99",
        "correlated",
    }
    assert controls | {"fail", "work", "Many users, slow api"} <= reached


def test_locusts_own_page_leads_there(browser: Browser, web_ui: str) -> None:
    watched = Watched(browser, web_ui)
    watched.page.get_by_role("link", name="See it side by side").click()
    expect(watched.page.locator("#sentence")).to_be_visible()
    watched.context.close()


def test_what_comes_from_outside_is_shown_as_text(browser: Browser, web_ui: str) -> None:
    hostile = "<img src=x onerror=document.title='broken'><b>bold</b>"

    def poison(route: Route) -> None:
        answer = route.fetch()
        said = answer.json()
        said |= {"sentence": hostile, "users": hostile, "reservations": [hostile], "marks": [[1, hostile]]}
        said |= {"clauses": [["wsgi", hostile]], "second": 30, "rows": [[hostile]], "running": True}
        route.fulfill(json=said)

    watched = Watched(browser, "about:blank")
    watched.page.route("**/compare/figures", poison)
    watched.page.goto(f"{web_ui}/compare")
    expect(watched.page.locator("#reservations")).to_contain_text("<img")
    expect(watched.page.locator("#sentence")).to_contain_text("<img")
    assert watched.page.locator("img").count() == 0
    assert watched.page.title() != "broken"
    watched.context.close()


@pytest.mark.slow
def test_an_hour_stays_within_fifty_megabytes(browser: Browser, web_ui: str) -> None:
    """A page gets a second a time an hour of them, as fast as it asks, and its heap grows by less than 50 MB."""
    watched = Watched(browser, "about:blank")
    page = watched.page
    seconds = {"now": 0}

    def whole(route: Route) -> None:
        said = route.fetch().json()
        seconds["now"] += 0 if seconds["now"] else 1
        kept = list(range(max(0, seconds["now"] - 1800), seconds["now"]))
        for figure in said["figures"].values():
            for trace in figure["data"]:
                trace["x"], trace["y"] = kept, [float(second % 100) for second in kept]
        route.fulfill(json=said | {"epoch": 1, "next": seconds["now"], "second": seconds["now"], "rows": []})

    def data(route: Route) -> None:
        since = seconds["now"]
        seconds["now"] += 400
        new = list(range(since, seconds["now"]))
        points = {title: [[new, [float(second % 100) for second in new]]] * count for title, count in traces.items()}
        now = {"running": True, "users": "", "sentence": "", "clauses": [], "reservations": [], "marks": []}
        route.fulfill(
            json=now
            | {
                "epoch": 1,
                "next": seconds["now"],
                "points": points,
                "rows": [],
                "second": seconds["now"],
                "controls": controls,
            }
        )

    first = page.request.get(f"{web_ui}/compare/figures").json()
    traces = {title: len(figure["data"]) for title, figure in first["figures"].items()}
    controls = first["controls"]
    page.route("**/compare/figures", whole)
    page.route("**/compare/data?*", data)
    page.goto(f"{web_ui}/compare")
    page.wait_for_function("() => document.querySelector('.plot').data")
    session = watched.context.new_cdp_session(page)

    def heap() -> float:
        session.send("HeapProfiler.collectGarbage")
        return float(session.send("Runtime.getHeapUsage")["usedSize"])

    before = heap()
    page.wait_for_function("() => document.querySelector('.plot').layout.xaxis.range[1] >= 3600", timeout=PATIENCE)
    assert heap() - before < 50e6
    assert page.evaluate("document.querySelector('.plot').data[0].x.length") <= 2600
    watched.context.close()
