"""The live page as a browser talks to it, in front of the real servers, with Locust alone and with workers."""

from __future__ import annotations

import io
import ipaddress
import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from loadtests.errors import LabDown
from loadtests.host import topology
from loadtests.host.processes import ProcessRuntime, free_port
from tests.integration.waiting import wait_until
from tests.processes import running

ROOT = Path(__file__).resolve().parents[2]
KNOBS = {
    "strategy": "parallel",
    "fan_out": 5,
    "latency": 0.2,
    "jitter": 0,
    "latency_p99": 0,
    "correlated": 0,
    "fail": 0,
    "work": 0,
}
SLOTS = int(topology.services({})["wsgi"].environment["THREADS"])
BOTH = {**KNOBS, "users": 20, "targets": ["wsgi", "asgi"]}


class Page:
    """What the page's script asks for."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def get(self, path: str) -> dict[str, Any]:
        said: dict[str, Any] = self.client.get(f"/compare/{path}").raise_for_status().json()
        return said

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.client.post(f"/compare/{path}", json=body or {})

    def good(self, path: str, body: Any = None) -> dict[str, Any]:
        said: dict[str, Any] = self.post(path, body).raise_for_status().json()
        return said

    def latest(self, title: str = "Goodput") -> dict[str, float | None]:
        """The newest value of each target's first line."""
        traces = self.get("figures")["figures"][title]["data"]
        found: dict[str, float | None] = {}
        for trace in traces:
            found.setdefault(trace["name"].split()[0].lower(), trace["y"][-1] if trace["y"] else None)
        return found

    def goodput(self, target: str) -> float:
        return self.latest()[target] or 0.0

    def response_time(self, target: str) -> float:
        return self.latest("Response time")[target] or 0.0


def names(page: Page) -> list[str]:
    """Of the targets that are loaded."""
    return [name.lower() for name, _ in page.get("figures")["clauses"]]


@contextmanager
def lab(folders: pytest.TempPathFactory, **variables: str) -> Iterator[ProcessRuntime]:
    """All of it, with the web UI."""
    saved = str(folders.mktemp("saved"))
    with running(["locust"], folders.mktemp("logs"), SAVE_TO=saved, **variables) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessRuntime]:
    with lab(tmp_path_factory, LATENCY="0.2") as runtime:
        yield runtime


@pytest.fixture
def page(runtime: ProcessRuntime) -> Iterator[Page]:
    page = Page(runtime.published()["locust"])
    yield page
    page.post("stop")
    page.post("reset")
    wait_until(lambda: not (page.get("figures")["proper"] or {}).get("running"))
    page.client.close()


def test_the_page_asks_nothing_of_another_host_and_locusts_own_leads_to_it(page: Page) -> None:
    answer = page.client.get("/compare")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "://" not in answer.text
    script = page.client.get("/compare/plotly.js")
    assert "immutable" in script.headers["cache-control"]
    assert len(script.text) > 1_000_000
    assert 'href="/compare"' in page.client.get("/").text


def users_by_littles_law(page: Page, target: str) -> float:
    """Users that the figures account for: pages/s × seconds of a page, on however slow a machine."""
    return page.goodput(target) * page.response_time(target)


def test_both_targets_move_a_turned_knob_changes_the_running_test_and_is_marked(page: Page) -> None:
    page.good("start", BOTH)
    wait_until(lambda: page.goodput("wsgi") and (page.latest("External concurrency")["asgi"] or 0) > SLOTS)
    assert 0 < (page.latest("External concurrency")["wsgi"] or 0) <= SLOTS
    page.good("knobs", {**BOTH, "latency": 1.0})
    wait_until(lambda: "latency 1" in [text for _, text in page.get("figures")["marks"]])
    wait_until(lambda: min(page.response_time(target) for target in ("wsgi", "asgi")) >= 1.0)
    said = page.get("figures")
    assert said["controls"]["latency"] == 1.0
    assert said["sentence"].startswith("20 users each: WSGI ")
    assert any("loaded at once" in text for text in said["reservations"])
    page.good("knobs", {**BOTH, "users": 5})
    wait_until(lambda: page.get("figures")["users"] == "5 users each")
    page.good("stop")
    stopped = page.get("figures")
    assert stopped["sentence"].startswith("Stopped at 5 users each: WSGI ")
    assert any("loaded at once" in text for text in stopped["reservations"]), "the figures stand, and so does this"
    assert page.goodput("asgi") > 0, "its lines end where it was stopped"
    page.good("reset")
    assert page.get("figures")["sentence"] == "Nothing is loaded: press Start."
    assert page.get("figures")["reservations"] == []
    assert "nothing to save" in page.post("save").json()["message"]


def test_a_blocked_event_loop_is_given_as_the_reason_and_stays_so_after_a_stop(page: Page) -> None:
    page.good("start", {**BOTH, "targets": ["asgi"], "work": 0.1})
    wait_until(lambda: "event-loop lag" in page.get("figures")["sentence"])
    assert (page.latest("Event-loop lag")["asgi"] or 0) > 50
    page.good("stop")
    stopped = page.get("figures")
    assert "event-loop lag" in stopped["sentence"]
    [reason] = [text for text in stopped["reservations"] if "event loop" in text]
    assert reason.startswith("The event loop of ASGI comes back up to ")
    assert reason.endswith("each page computes for 0.1 s on it (work).")


def test_targets_are_changed_while_it_runs(page: Page) -> None:
    page.good("start", BOTH)
    wait_until(lambda: page.get("figures")["users"] == "20 users each")
    page.good("knobs", {**BOTH, "targets": ["asgi"]})
    wait_until(lambda: names(page) == ["asgi"] and page.get("figures")["users"] == "20 users")
    page.good("knobs", BOTH)
    wait_until(lambda: page.get("figures")["users"] == "20 users each")


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"latency": "abc"}, "latency", "LATENCY must be a number from 0 to 10; it is 'abc'."),
        ({"users": 0}, "users", "USERS must be a whole number from 1 to 10000"),
        ({"targets": ["<img src=x onerror=alert(1)>"]}, "targets", "TARGETS must be one or more of wsgi, asgi."),
        ({"strategy": "telepathy"}, "strategy", "STRATEGY must be one of parallel"),
    ],
)
def test_bad_input_says_what_is_allowed_and_changes_nothing(
    page: Page, changes: Mapping[str, Any], field: str, said: str
) -> None:
    before = page.get("figures")["controls"]
    for path in ("start", "knobs"):
        refused = page.post(path, {**BOTH, "fan_out": 7, **changes})
        assert refused.status_code == 400
        assert refused.json()["field"] == field
        assert said in refused.json()["message"]
    after = page.get("figures")
    assert after["controls"] == before
    assert not after["running"]


def test_a_strategy_that_there_is_not_stops_the_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(LabDown) as down, lab(tmp_path_factory, STRATEGY="telepathy"):
        pass
    assert "locust: STRATEGY must be one of parallel, " in down.value.details


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"user_count": 20001}, "USER_COUNT must be a whole number from 1 to 20000; it is '20001'"),
        ({"user_count": 10001, "user_classes": "AsgiUser"}, "USER_COUNT must be a whole number from 1 to 10000;"),
        ({"user_count": 0}, "USER_COUNT must be a whole number from 1 to 20000; it is '0'"),
        ({"user_count": 2, "latency": 11}, "LATENCY must be a number from 0 to 10; it is '11'"),
        ({"user_count": 2, "strategy": "telepathy"}, "STRATEGY must be one of parallel"),
    ],
)
def test_locusts_own_form_refuses_what_the_page_would(page: Page, form: Mapping[str, Any], said: str) -> None:
    refused = page.client.post("/swarm", data={"spawn_rate": 1, **form}).json()
    assert refused["success"] is False
    assert said in refused["message"]
    assert not page.get("figures")["running"]


def test_more_users_than_the_page_can_ask_for_do_not_stop_it(runtime: ProcessRuntime) -> None:
    with beside(runtime, "--users=50000") as page:
        wait_until(lambda: answers(page))
        assert page.get("figures")["controls"]["users"] == 10_000


def beyond_loopback() -> list[str]:
    """The sockets that any process of this test listens at, and another machine could reach."""
    processes = psutil.Process().children(recursive=True)
    sockets = [(one, socket) for one in processes for socket in one.net_connections("inet")]
    listening = [(one, socket) for one, socket in sockets if socket.status in {psutil.CONN_LISTEN, psutil.CONN_NONE}]
    assert len(listening) >= 7, "four services, and three that say what happens inside them"
    return [
        f"{' '.join(one.cmdline())}: {socket.laddr}"
        for one, socket in listening
        if not ipaddress.ip_address(socket.laddr.ip).is_loopback
    ]


def test_no_process_of_the_lab_listens_beyond_this_machine(page: Page) -> None:
    assert beyond_loopback() == []


CHANGING = {
    *("/swarm", "/stop", "/stats/reset", "/user"),
    *(f"/compare/{name}" for name in ("start", "knobs", "stop", "reset", "save", "measure")),
}


def test_every_route_there_is_refuses_other_sites_and_other_names_also_under_a_base_path(
    runtime: ProcessRuntime,
) -> None:
    """Also those of a Locust that comes later."""
    files = "--locustfile=loadtests/locustfile.py,tests/integration/all_routes.py"
    with beside(runtime, "--web-base-path=/lab", files, path="/lab") as page:
        wait_until(lambda: answers(page))
        server = str(page.client.base_url).removesuffix("/lab/")
        routes = page.client.get(f"{server}/all-routes").json()
        changing = {rule for rule, methods in routes if not {"GET", "HEAD", "OPTIONS"}.issuperset(methods)}
        assert changing == {f"/lab{rule}" for rule in CHANGING}, "another one has to be looked at"
        for rule, methods in routes:
            url = server + re.sub("<[^>]*>", "x", rule)
            for method in methods:
                for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}):
                    refused = page.client.request(method, url, headers=headers)
                    assert refused.status_code == 403, (method, rule, headers)
                    assert not [name for name in refused.headers if name.startswith("access-control")]
            if "GET" in methods:
                own = page.client.get(url, headers={"Origin": server})
                assert own.status_code != 403, rule
                assert not [name for name in own.headers if name.startswith("access-control")], rule
        foreign = page.client.post("swarm", data={"user_count": 2, "spawn_rate": 1}, headers={"Origin": "http://a.b"})
        assert foreign.status_code == 403
        refused = page.client.post("swarm", data={"user_count": 2, "spawn_rate": 1, "latency": 11}).json()
        assert "LATENCY must be a number from 0 to 10" in refused["message"]
        assert not page.get("figures")["running"]


def test_locusts_own_form_changes_targets_of_a_running_test_and_whatever_it_sent_the_load_can_be_stopped(
    page: Page, tmp_path: Path
) -> None:
    def swarm(**form: Any) -> dict[str, Any]:
        said: dict[str, Any] = page.client.post("/swarm", data={"user_count": 4, "spawn_rate": 4, **form}).json()
        return said

    def runs() -> bool:
        return bool(page.get("figures")["running"])

    assert swarm(user_classes="WsgiUser")["user_classes"] == ["WsgiUser"]
    wait_until(lambda: names(page) == ["wsgi"])
    assert swarm(user_classes="AsgiUser")["success"]
    wait_until(lambda: names(page) == ["asgi"])
    for form in (
        {"user_classes": "Nope"},
        {"shape_class": "X"},
        {"json_file": str(tmp_path / "notes")},
        {"host": "http://evil.example"},
    ):
        assert not swarm(**form)["success"], form
    refused = page.client.post("/user", json={"user_class_name": "AsgiUser", "proxy_host": "evil.example"})
    assert refused.status_code == 400
    assert names(page) == ["asgi"], "what was refused changed nothing"
    assert page.client.get("/stats/report").is_success
    assert swarm(user_classes=["WsgiUser", "AsgiUser"])["success"]
    wait_until(lambda: names(page) == ["wsgi", "asgi"])
    assert page.client.post("/stop").json()["success"]
    wait_until(lambda: not runs())
    assert swarm(run_time="3s")["run_time"] == 3
    wait_until(runs)
    wait_until(lambda: not runs())
    assert not list(tmp_path.iterdir())


def send(url: str, *pieces: bytes) -> bytes:
    """What a server answers to these bytes, before it closes the connection."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80), timeout=30) as connection:
        with suppress(ConnectionError):  # it need not take them all
            for piece in pieces:
                connection.sendall(piece)
        with suppress(ConnectionError):
            return connection.recv(100)
    return b""


def test_nobody_sends_more_than_the_page_has_use_for(page: Page) -> None:
    url = str(page.client.base_url)
    start = b"POST /compare/start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    assert send(url, start, b"Content-Length: 600000000\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert send(url, start, b"Transfer-Encoding: chunked\r\n\r\n").startswith(b"HTTP/1.1 411 ")
    assert send(url, start, b"X: a\r\n" * 1000, b"\r\n").startswith(b"HTTP/1.1 431 ")
    endless = send(url, start, b"X: ", *[b"a" * 100_000] * 100)
    assert endless == b"" or endless.startswith(b"HTTP/1.1 431 ")
    nested = page.client.post("/compare/start", content="[" * 60_000, headers={"Content-Type": "application/json"})
    assert nested.status_code == 400
    assert "nested too deeply" in nested.json()["message"]
    assert page.get("figures")["running"] is False


def test_a_page_opened_late_shows_the_whole_run_and_one_that_was_open_only_gets_what_is_new(page: Page) -> None:
    page.good("start", BOTH)
    wait_until(lambda: page.get("figures")["next"] >= 3)
    first = page.get("figures")
    wait_until(lambda: page.get("figures")["next"] >= first["next"] + 2)
    new = page.get(f"data?epoch={first['epoch']}&since={first['next']}")
    late = page.get("figures")["figures"]["Goodput"]["data"][0]["x"]
    shown = first["figures"]["Goodput"]["data"][0]["x"] + new["points"]["Goodput"][0][0]
    assert late[: len(shown)] == shown
    assert len(shown) >= 5
    page.good("reset")
    assert page.get(f"data?epoch={first['epoch']}&since={new['next']}")["stale"]


def test_what_is_shown_is_measured_properly_one_target_at_a_time(page: Page) -> None:
    page.good("start", {**BOTH, "users": 5})
    page.good("measure")
    assert page.get("figures")["running"] is False, "what was shown has ended"
    swarm = page.client.post("/swarm", data={"user_count": 4, "spawn_rate": 4})
    for refused in (page.post("start", BOTH), page.post("measure"), swarm):
        assert "A measurement is running" in refused.json()["message"]
    wait_until(lambda: not page.get("figures")["proper"]["running"])
    measured = page.get("figures")["proper"]
    assert re.match("(NOT )?CONFIRMED: |INVALID: ", measured["said"])
    archive = zipfile.ZipFile(io.BytesIO(page.client.get(f"/{measured['download']}").content))
    summary = json.loads(next(archive.read(name) for name in archive.namelist() if name.endswith("summary.json")))
    steps = {(arm["target"], step["users"]) for arm in summary["arms"] for step in arm["steps"]}
    assert steps == {("wsgi", 5), ("asgi", 5)}
    assert summary["manifest"]["command"].startswith("make loadtest USERS=5 FAN_OUT=")
    assert summary["manifest"]["knobs"]["latency"] == BOTH["latency"]
    assert page.client.get(f"/{measured['report']}").is_success
    page.good("start", BOTH)


def test_however_often_it_is_asked_for_at_once_one_run_measures(page: Page) -> None:
    page.good("start", {**BOTH, "users": 5})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: page.post("measure"), range(4)))
        loads = list(pool.map(lambda _: page.post("start", BOTH), range(2)))
    assert [answer.is_success for answer in answers].count(True) == 1
    assert not any(load.is_success for load in loads)


def test_stop_ends_what_is_measured_and_its_report_says_so(page: Page) -> None:
    page.good("start", BOTH)
    page.good("measure")
    wait_until(lambda: "slots" in page.get("figures")["proper"]["said"])
    page.good("stop")
    wait_until(lambda: not page.get("figures")["proper"]["running"])
    assert page.get("figures")["proper"]["said"] == "INVALID: Incomplete"


def test_a_strategy_that_no_run_of_that_name_measures_is_refused_with_the_way_out(page: Page) -> None:
    page.good("start", {**BOTH, "strategy": "sequential"})
    assert "make experiments" in page.post("measure").json()["message"]
    assert page.get("figures")["running"], "what is refused changes nothing"


def test_save_makes_a_report_that_opens_and_a_folder_to_take_away(page: Page) -> None:
    page.good("start", {**BOTH, "targets": ["asgi"]})
    wait_until(lambda: "wait" in page.post("save").json()["message"])
    wait_until(lambda: page.post("save").is_success)
    page.good("stop")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: page.post("save"), range(4)))
    [saved] = [answer.json() for answer in answers if answer.is_success]
    assert {answer.json()["message"] for answer in answers if answer.is_client_error} == {
        "A report is being made. Wait until it is there, then save again."
    }
    assert saved["message"].startswith("LIVE, not a measurement.")
    assert "To measure it: make loadtest USERS=20 " in saved["message"]
    report = page.client.get(f"/{saved['report']}")
    assert "Live, not a measurement" in report.text
    archive = zipfile.ZipFile(io.BytesIO(page.client.get(f"/{saved['download']}").content))
    names = [name.partition("/")[2] for name in archive.namelist()]
    assert {"summary.json", "report.html", "manifest.json", "raw/asgi-gather-20-users-1.hlog"} <= set(names)
    assert page.client.get("/compare/saved/..%2f..%2fetc/passwd").status_code == 404
    assert page.client.get(f"/{saved['report']}/../../../../../../etc/passwd").status_code == 404


@contextmanager
def beside(runtime: ProcessRuntime, *words: str, path: str = "") -> Iterator[Page]:
    """A Locust of its own, started with these words as well, in front of the same targets."""
    service, port = runtime.services["locust"], free_port()
    usual = [word for word in service.command if not word.startswith("--web-port")]
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / usual[0]), *usual[1:], f"--web-port={port}", *words],
        cwd=ROOT,
        env={**service.environment, "PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    page = Page(f"http://127.0.0.1:{port}{path}")
    try:
        yield page
    finally:
        page.client.close()
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def workers(runtime: ProcessRuntime) -> Iterator[Page]:
    """A master with two workers."""
    meeting = free_port()
    with beside(runtime, f"--master-bind-port={meeting}", f"--master-port={meeting}", "--processes=2") as page:
        wait_until(lambda: ready(page))
        yield page


def answers(page: Page) -> bool:
    try:
        return page.client.get("/compare").is_success
    except httpx.HTTPError:
        return False


def ready(page: Page) -> bool:
    try:
        return bool(page.client.get("/worker-count").json()["worker_count"] == 2)
    except httpx.HTTPError:
        return False


def test_with_workers_the_figures_are_those_of_all_of_them(workers: Page) -> None:
    workers.good("start", BOTH)
    wait_until(lambda: all(14 < users_by_littles_law(workers, target) < 28 for target in ("wsgi", "asgi")))
    assert workers.get("figures")["users"] == "20 users each"
    workers.good("knobs", {**BOTH, "latency": 1.0})
    wait_until(lambda: workers.response_time("asgi") >= 1.0)
    workers.good("knobs", {**BOTH, "targets": ["asgi"]})
    wait_until(lambda: workers.get("figures")["users"] == "20 users")
    assert names(workers) == ["asgi"]
    only_wsgi = {"user_count": 4, "spawn_rate": 4, "user_classes": "WsgiUser"}
    assert workers.client.post("/swarm", data=only_wsgi).json()["success"]
    wait_until(lambda: names(workers) == ["wsgi"])
    workers.good("stop")
    wait_until(lambda: workers.client.get("/stats/requests").json()["user_count"] == 0)
    assert beyond_loopback() == []


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web UI with a login."""
    with lab(tmp_path_factory, LOCUST_LOGIN="speaker:a-long-password") as runtime:
        yield runtime.published()["locust"]


def log_in(client: httpx.Client, password: str) -> httpx.Response:
    return client.post("/log-in", data={"username": "speaker", "password": password}, follow_redirects=True)


def guess(url: str) -> httpx.Response:
    """With a session of its own."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        return log_in(client, "wrong")


def test_behind_a_login_nothing_answers_before_it_and_everything_after(guarded: str) -> None:
    with httpx.Client(base_url=guarded, timeout=30, trust_env=False) as client:
        for path in ("/", "/compare", "/compare/figures", "/compare/static/compare.js"):
            assert client.get(path).headers["location"].startswith("/login"), path
        for path in ("start", "stop", "reset", "knobs", "save", "measure"):
            assert client.post(f"/compare/{path}", json=BOTH).headers["location"].startswith("/login"), path
        with ThreadPoolExecutor(8) as pool:
            wrong = [answer.text for answer in pool.map(lambda _: guess(guarded), range(16))]
        looked_at = [text for text in wrong if "This is not the name and the password." in text]
        assert 1 <= len(looked_at) < len(wrong) / 2
        assert all("Wait a second, then try again." in text for text in wrong if text not in looked_at)
        assert client.get("/compare").status_code == 302
        assert log_in(client, "a-long-password").status_code == 200
        assert client.get("/compare").status_code == 200
        assert client.get("/compare/figures").json()["running"] is False
