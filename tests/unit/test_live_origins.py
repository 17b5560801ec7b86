from __future__ import annotations

import pytest
from flask import Flask, Response, jsonify
from flask_cors import CORS

from loadtests.errors import BadInput
from loadtests.live.guard import guard
from loadtests.live.origins import Origins

LOCAL = Origins.parse("", "8089")
TUNNEL = "x-8089.app.github.dev"
TRUSTING = Origins.parse(f"https://{TUNNEL}, http://192.168.1.5:8089/ http://[fd00::5]:8089", "8089")


def refusal(origins: Origins, method: str, host: str, origin: str, site: str) -> str:
    headers = {"Host": host, "Origin": origin, "Sec-Fetch-Site": site}
    return origins.refusal(method, {name: value for name, value in headers.items() if value})


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("host", "origin", "site"),
    [
        ("127.0.0.1:8089", "", ""),  # curl
        ("localhost:8089", "", "none"),  # typed into the address bar
        ("localhost:8089", "http://localhost:8089", "same-origin"),
        ("LOCALHOST:8089", "http://localhost:8089", "same-origin"),
        ("localhost.:8089", "", ""),
        ("lab.localhost:8089", "http://lab.localhost:8089", "same-origin"),
        ("127.0.0.2:8089", "http://127.0.0.2:8089", "same-origin"),
        ("[::1]:8089", "http://[::1]:8089", "same-origin"),
        ("127.0.0.1:8000", "", ""),  # the health check, inside the container
        ("localhost:9999", "http://localhost:9999", "same-origin"),  # a tunnel to another local port
        ("localhost", "http://localhost", "same-origin"),
        ("localhost:80", "http://localhost", "same-origin"),
        ("localhost:9999", "http://localhost:8089", ""),  # a proxy put the lab's own address in
    ],
)
def test_the_labs_own_pages_and_programs_on_this_machine_are_answered(
    method: str, host: str, origin: str, site: str
) -> None:
    assert refusal(LOCAL, method, host, origin, site) == ""


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("http://evil.example", ""),
        ("http://evil.example", "cross-site"),
        ("http://localhost:3000", ""),  # another program on this machine
        ("http://localhost:3000", "same-site"),
        ("http://localhost.evil.example:8089", ""),
        ("http://evil.example/http://localhost:8089", ""),
        ("http://localhost:8089@evil.example", ""),
        ("file://", ""),
        ("null", ""),  # a frame without an origin, a file
        ("http://localhost:8089, http://evil.example", ""),
        ("http://localhost:8089", "cross-site"),  # a proxy replaced the Origin of a foreign page
    ],
)
def test_a_page_of_another_site_is_refused(method: str, origin: str, site: str) -> None:
    assert "A page of another site" in refusal(LOCAL, method, "localhost:8089", origin, site)


def test_without_an_origin_the_browser_still_says_that_the_page_is_of_another_site() -> None:
    for site in ("cross-site", "same-site"):
        headers = {"Host": "localhost:8089", "Sec-Fetch-Site": site}
        assert LOCAL.refusal("POST", headers)
        assert LOCAL.refusal("POST", headers | {"Sec-Fetch-Mode": "navigate"}), "a form that is sent"
        assert LOCAL.refusal("GET", headers | {"Sec-Fetch-Mode": "no-cors"}), "a picture that is none"
        assert not LOCAL.refusal("GET", headers | {"Sec-Fetch-Mode": "navigate"}), "a link that is followed"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8089",
        "localhost.evil.example:8089",
        "notlocalhost:8089",
        "127.0.0.1.evil.example",
        "localhost:8089@evil.example",
        "localhost:8089, evil.example",
        "localhost:8089:80",
        "local host",
        "10.0.0.7:8089",
        "0.0.0.0:8089",
        "[::2]:8089",
        "[::1",
        TUNNEL,
        "",
    ],
)
def test_a_host_that_is_nobodys_is_refused_also_where_the_origin_is_the_same(method: str, host: str) -> None:
    for origin in ("", f"http://{host}"):
        assert "The web UI does not answer to the name" in refusal(LOCAL, method, host, origin, "same-origin")


@pytest.mark.parametrize(
    ("host", "origin", "site"),
    [
        (TUNNEL, f"https://{TUNNEL}", "same-origin"),
        (f"{TUNNEL}:443", f"https://{TUNNEL}", "same-origin"),
        (TUNNEL, "http://localhost:8089", "same-origin"),  # Codespaces replaces the Origin and leaves the Host
        ("localhost:8089", f"https://{TUNNEL}", "same-origin"),  # a proxy that replaces the Host and leaves the Origin
        ("192.168.1.5:8089", "http://192.168.1.5:8089", ""),
        ("[fd00::5]:8089", "http://[fd00::5]:8089", ""),
        (TUNNEL, "", ""),
    ],
)
def test_a_trusted_origin_is_answered_through_a_proxy(host: str, origin: str, site: str) -> None:
    for method in ("GET", "POST"):
        assert refusal(TRUSTING, method, host, origin, site) == ""


@pytest.mark.parametrize(
    ("host", "origin", "site"),
    [
        (TUNNEL, "https://y-8089.app.github.dev", "same-site"),
        (TUNNEL, f"http://{TUNNEL}", ""),  # the same name without TLS, which anybody on the way can be
        (TUNNEL, "http://localhost:8089", "cross-site"),
        (f"{TUNNEL}:8443", f"https://{TUNNEL}:8443", "same-origin"),
        (f"evil.{TUNNEL}", f"https://{TUNNEL}", "same-origin"),
        ("192.168.1.5:8090", "http://192.168.1.5:8090", ""),
    ],
)
def test_trust_goes_no_further_than_the_origin_that_is_named(host: str, origin: str, site: str) -> None:
    assert refusal(TRUSTING, "POST", host, origin, site)


@pytest.mark.parametrize("text", ["*", "lab.example", "https://", "https://*.lab.example", "https://lab.example/path"])
def test_what_is_no_origin_cannot_be_trusted(text: str) -> None:
    with pytest.raises(BadInput, match="TRUSTED_ORIGINS must be origins with a scheme and without a path"):
        Origins.parse(f"https://lab.example {text}", "8089")


def test_a_port_that_is_none_is_refused_by_the_name_of_its_variable() -> None:
    with pytest.raises(BadInput, match="LOCUST_PORT must be a whole number from 1 to 65535; it is '8089-8099'"):
        Origins.parse("", "8089-8099")


def test_the_guard_stands_before_every_route_and_takes_away_what_opens_an_answer_to_others() -> None:
    app = Flask("web_ui")
    CORS(app, supports_credentials=True)
    reached = []

    @app.route("/any", methods=["GET", "POST", "DELETE"])
    def view() -> Response:
        reached.append(1)
        return jsonify(secret=1)

    guard(app, LOCAL)
    client = app.test_client()
    own = {"Host": "localhost:8089", "Origin": "http://localhost:8089"}
    for headers in (own, own | {"Access-Control-Request-Method": "POST"}):
        for answer in (client.get("/any", headers=headers), client.options("/any", headers=headers)):
            assert answer.status_code == 200
            assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]
            assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    reached.clear()
    for path in ("/any", "/nowhere", "/static/x"):
        for headers in ({**own, "Origin": "http://evil.example"}, {**own, "Host": "evil.example"}):
            for method in ("GET", "POST", "DELETE", "OPTIONS"):
                refused = client.open(path, method=method, headers=headers)
                assert refused.status_code == 403
                assert "TRUSTED_ORIGINS=https://lab.example" in refused.get_data(as_text=True)
                assert not [name for name, _ in refused.headers if name.lower().startswith("access-control")]
    assert not reached
