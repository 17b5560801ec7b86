"""upstreams.toml: what the lab replays to a project."""

from __future__ import annotations

import base64
import json
from statistics import median
from typing import Any

import pytest

from loadtests.errors import BadInput
from loadtests.model import upstreams
from services.api import replay
from services.env import BadEnvironment

LEAST = """
[[upstream]]
name = "weather"
variable = "WEATHER_URL"
"""
HOST = """
[[upstream]]
name = "hotels"
host = "hotels.example"
"""
BAD_HOSTS = (
    "localhost",
    "https://a.example",
    "a.example:80",
    "-a.example",
    "a..example",
    "é.example",
    "a" * 64 + ".example",
)
ANSWER = '\n[[upstream.answer]]\npath = "/now"\nbody = "fine"\n'
HAR = {
    "log": {
        "entries": [
            {
                "time": 250.0,
                "request": {"method": "get", "url": "https://api.example/now?city=rome"},
                "response": {
                    "status": 200,
                    "headers": [{"name": "Content-Encoding", "value": "gzip"}, {"name": "X-A", "value": "b"}],
                    "content": {"text": base64.b64encode(b"\x00rome").decode(), "encoding": "base64"},
                },
            },
            {"time": 1, "request": {"method": "GET", "url": "https://api.example/"}, "response": {"status": 0}},
        ]
    }
}


def read(name: str) -> bytes:
    files = {"now.har": json.dumps(HAR).encode(), "no.har": b"{}", "seconds.prom": b'x_bucket{le="1"} 3\n'}
    if name not in files:
        raise BadInput(f"{name} cannot be read")
    return files[name]


def of(text: str) -> tuple[dict[str, str], dict[str, Any]]:
    return upstreams.of_file(text.encode(), "upstreams.toml", read)


def test_a_project_finds_each_upstream_by_its_variable() -> None:
    variables, replayed = of(LEAST + "latency = 0.2\nlatency_p99 = 1" + ANSWER)
    assert variables == {"WEATHER_URL": "$LAB_UPSTREAMS/weather"}
    weather = replayed["weather"]
    assert (weather["latency"], weather["latency_p99"], weather["times"]) == (0.2, 1.0, [])
    assert weather["answers"] == [
        {"method": "GET", "path": "/now", "status": 200, "headers": {}, "body": base64.b64encode(b"fine").decode()}
    ]


def test_a_project_that_knows_an_upstream_by_its_name_trusts_who_signs_for_it() -> None:
    variables, replayed = of(HOST + ANSWER + LEAST + ANSWER)
    assert variables == {"WEATHER_URL": "$LAB_UPSTREAMS/weather", **upstreams.TRUST}
    assert upstreams.hosts_of(replayed) == ["hotels.example"]


def test_a_recording_gives_answers_as_they_were_and_their_times() -> None:
    weather = of(LEAST + 'har = "now.har"')[1]["weather"]
    [answer] = weather["answers"]
    assert (answer["method"], answer["path"], answer["headers"]) == ("GET", "/now?city=rome", {"x-a": "b"})
    assert base64.b64decode(answer["body"]) == b"\x00rome"
    assert weather["times"] == [0.25]
    assert of(LEAST + 'har = "now.har"\nlatency = 2')[1]["weather"]["times"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must stand once"),
        ("upstream = 3", "upstream must be a list"),
        ("[[upstreams]]", "did you mean upstream?"),
        ("[[upstream]]", "needs name"),
        (LEAST, "it needs [[upstream.answer]] or har"),
        (LEAST.replace('"weather"', '"../etc"') + ANSWER, "name must be small letters"),
        (LEAST.replace('"WEATHER_URL"', '"A B"') + ANSWER, "variable must be the name"),
        (LEAST + ANSWER + LEAST + ANSWER, "and no other upstream's"),
        (HOST.replace("host", "# host") + ANSWER, "it needs a variable that names its address, or the host"),
        (
            HOST + ANSWER + HOST.replace('"hotels"', '"rooms"') + ANSWER,
            "host must be a name as in api.example.com, and no other",
        ),
        *((HOST.replace("hotels.example", host) + ANSWER, "host must be a name") for host in BAD_HOSTS),
        (LEAST + "latency = -1" + ANSWER, "latency must be seconds from 0 to 60"),
        (LEAST + "latency = nan" + ANSWER, "latency must be seconds from 0 to 60"),
        (LEAST + "latency_p99 = 1" + ANSWER, "its time is latency"),
        (LEAST + "latency = 1\nlatency_p99 = 0.5" + ANSWER, "must be at least latency"),
        (LEAST + "latency = 1\ntimes = [1]" + ANSWER, "its time is latency"),
        (LEAST + 'times = ["a"]' + ANSWER, "times must be seconds"),
        (LEAST + 'histogram = "other.prom"' + ANSWER, "other.prom cannot be read"),
        (LEAST + 'har = "no.har"', "har must be a HAR"),
        (LEAST + ANSWER + "json = { a = 1 }", "body and json exclude each other"),
        (LEAST + ANSWER.replace('body = "fine"', "json = { a = nan }"), "json must hold what JSON can"),
        (LEAST + ANSWER.replace("/now", "now"), "path must begin with /"),
        (LEAST + ANSWER + 'headers = { a = "b\\r\\nc: d" }', "headers must be names"),
        (LEAST + ANSWER + "status = 99", "from 100 to 599"),
        ("[[upstream]", "is not TOML"),
    ],
)
def test_what_it_may_not_say_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"^upstreams\.toml") as refused:
        of(text)
    assert said in str(refused.value)


def test_an_answer_is_found_by_query_then_by_path_then_by_how_the_path_begins() -> None:
    text = LEAST + "".join(
        ANSWER.replace("/now", path).replace("fine", path)
        for path in ("/now?city=rome", "/now", "/forecast/*", "/forecast/paris")
    )
    weather = replay.upstream(of(text)[1]["weather"])

    def body(path: str, query: str = "", method: str = "GET") -> bytes | None:
        found = weather.answer(method, path, query)
        return found[1]["body"] if found else None

    assert body("/now", "city=rome") == b"/now?city=rome"
    assert body("/now", "city=oslo") == b"/now"
    assert body("/forecast/paris") == b"/forecast/paris"
    assert body("/forecast/rome", "a=b") == b"/forecast/*"
    assert body("/forecast") is None
    assert body("/now", method="POST") is None


PLACES = [(number + 0.5) / 1000 for number in range(1000)]


@pytest.mark.parametrize(
    ("described", "middle", "p99"),
    [
        ({"latency": 0.2}, 0.2, 0.2),
        ({"latency": 0.2, "latency_p99": 1.0}, 0.2, 1.0),
        ({"times": [0.1, 0.2, 0.3, 0.9]}, 0.25, 0.9),
        ({"histogram": 'a_bucket{le="0.1"} 50\na_bucket{le="0.3"} 90\na_bucket{le="+Inf"} 100\n'}, 0.1, 0.3),
    ],
    ids=["constant", "lognormal", "recorded", "histogram"],
)
def test_calls_take_as_long_as_it_is_said(described: dict[str, Any], middle: float, p99: float) -> None:
    wait = replay.waits({"latency": 0.0, "latency_p99": 0.0, "times": [], "histogram": "", **described})
    seconds = sorted(wait(place) for place in PLACES)
    assert median(seconds) == pytest.approx(middle, abs=0.01)
    assert seconds[989] == pytest.approx(p99, rel=0.05)


@pytest.mark.parametrize("text", ["no metrics {", 'a_bucket{le="x"} 1\n', "a 1\n", 'a_bucket{le="+Inf"} 3\n'])
def test_a_histogram_that_counts_nothing_stops_the_start_with_a_sentence(text: str) -> None:
    with pytest.raises(BadEnvironment, match="histogram must"):
        replay.from_histogram(text)
