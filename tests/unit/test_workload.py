"""pages.toml: what it may say, and when an answer is whole."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from loadtests.errors import BadInput
from loadtests.model import workload
from loadtests.model.workload import Check, OwnPage, Workload

LEAST = """
[[page]]
path = "/"
check = { contains = "Welcome" }
"""


def of(text: str) -> Workload:
    return workload.of_file(text.encode(), "pages.toml")


def only(text: str) -> OwnPage:
    [page] = of(text).pages
    return page


def test_the_least_is_a_path_and_a_check() -> None:
    page = only(LEAST)
    assert (page.name, page.method, page.weight) == ("GET /", "GET", 1.0)
    assert page.check.fault(200, b"<h1>Welcome</h1>") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "describes no page"),
        ("page = 3", "page must be a list"),
        ("page = [3]", "must be written as [[page]]"),
        ("[[pages]]", "did you mean page?"),
        ("[[page]]", "needs path"),
        ('[[page]]\npath = "/"', "must say what a whole answer holds"),
        ('[[page]]\npath = "/"\ncheck = { status = 200 }', "must say what a whole answer holds"),
        ('[[page]]\npath = "/"\ncheck = { contain = "x" }', "did you mean contains?"),
        ('[[page]]\npath = "/"\ncheck = { status = 99 }', "from 100 to 599; it is 99"),
        ('[[page]]\npath = "/"\ncheck = { status = true }', "it is True"),
        ('[[page]]\npath = "shop"\ncheck = { contains = "x" }', "must begin with one /"),
        ('[[page]]\npath = "//evil.example/"\ncheck = { contains = "x" }', "must begin with one /"),
        ('[[page]]\npath = "/a b"\ncheck = { contains = "x" }', "hold no space"),
        ('[[page]]\npath = "/a\\r\\nHost: b"\ncheck = { contains = "x" }', "hold no space"),
        (LEAST + 'method = "BREW"', "method must be one of"),
        (LEAST + 'method = "POST"', "write writes = true"),
        (LEAST + "weight = 0", "above 0"),
        (LEAST + "weight = nan", "above 0"),
        (LEAST + 'headers = { "A b" = "c" }', "headers must be names"),
        (LEAST + 'headers = { A = "b\\nC: d" }', "headers must be names"),
        (LEAST + "headers = { A = 3 }", "headers must be names"),
        (LEAST + "json = { a = nan }", "json must hold what JSON can"),
        (LEAST + 'values = { id = "1-9" }', "values.id is used nowhere"),
        ('[[page]]\npath = "/{id}/"\ncheck = { contains = "x" }', "needs values.id"),
        ('[[page]]\npath = "/{id}/"\nvalues = { id = "9-1" }\ncheck = { contains = "x" }', "a list of texts"),
        ('[[page]]\npath = "/{id}/"\nvalues = { id = [] }\ncheck = { contains = "x" }', "a list of texts"),
        ('[[page]]\npath = "/{id}/"\nvalues = { id = [1.5] }\ncheck = { contains = "x" }', "a list of texts"),
        (f'{LEAST}body = "a"\njson = {{ a = 1 }}', "body and json exclude each other"),
        (LEAST + LEAST, "two pages are called 'GET /'"),
        (LEAST * 101, "may stand 100 times; it stands 101 times"),
        ("writes = 1" + LEAST, "writes must be true or false"),
        ("[[page]", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
    ],
)
def test_what_it_may_not_say_is_refused_with_the_page_and_the_reason(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"^pages\.toml") as refused:
        of(text)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 600


def test_a_file_that_is_binary_or_huge_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^pages\.toml is not TOML"):
        workload.of_file(b"\xff\xfe", "pages.toml")
    with pytest.raises(BadInput, match=r"^pages\.toml may hold 1 MB"):
        workload.of_file(b"#" * (workload.LARGEST_FILE + 1), "pages.toml")


def test_a_setup_may_write_where_pages_may_not() -> None:
    read = of('[[setup]]\nmethod = "POST"\npath = "/login/"\ncheck = { status = 302 }\n' + LEAST)
    assert [request.method for request in read.setup] == ["POST"]


@pytest.mark.parametrize(
    ("check", "status", "body", "fault"),
    [
        (Check(contains="shop"), 200, b"a shop", None),
        (Check(contains="shop"), 200, b"sorry", "'shop' is not in the answer"),
        (Check(contains="shop"), 500, b"a shop", "status 500, not 200"),
        (Check(contains="shop"), 0, b"", "no answer: the connection failed"),
        (Check(min_bytes=3), 200, b"ab", "fewer than 3 bytes"),
        (Check(status=404, contains="no"), 404, b"no", None),
        (Check(json={"items.0.id": 3}), 200, b'{"items": [{"id": 3}]}', None),
        (Check(json={"items.0.id": 3}), 200, b'{"items": [{"id": 4}]}', "items.0.id is not 3"),
        (Check(json={"items.0.id": 3}), 200, b'{"items": []}', "the answer's JSON has no items.0.id"),
        (Check(json={"items.x": 3}), 200, b'{"items": []}', "the answer's JSON has no items.x"),
        (Check(json={"ok": True}), 200, b'{"ok": 1}', "ok is not True"),
        (Check(json={"ok": True}), 200, b"<html>", "the answer is not JSON"),
        (Check(json={"ok": True}), 200, b"[" * 100_000, "the answer is not JSON"),
    ],
)
def test_an_answer_is_whole_if_all_is_there_that_the_check_names(
    check: Check, status: int, body: bytes, fault: str | None
) -> None:
    assert check.fault(status, body) == fault


def test_placeholders_take_values_that_are_written_as_the_place_needs_it() -> None:
    page = only(
        "writes = true\n" + LEAST.replace('"/"', '"/find/{word}/?page={number}"') + 'method = "POST"\n'
        'headers = { X-Token = "{csrf}" }\nform = { q = "{word}" }\n'
        'values = { word = ["a/b&c", "a/b&c"], number = "7-7" }',
    )
    path, headers, body = page.filled(random.Random(1), "t0k3n")
    assert path == "/find/a%2Fb%26c/?page=7"
    assert headers == {"Content-Type": "application/x-www-form-urlencoded", "X-Token": "t0k3n"}
    assert body == "q=a%2Fb%26c"


def test_a_value_in_json_cannot_end_its_text() -> None:
    written = 'method = "POST"\njson = { q = "{word}" }\nvalues = { word = [\'a"b\\c\'] }'
    page = only(f"writes = true\n{LEAST}{written}")
    _, headers, body = page.filled(random.Random(1), "")
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"q": 'a"b\\c'}


def test_a_page_is_asked_for_as_often_as_its_weight_says() -> None:
    read = of(
        '[[page]]\nname = "often"\npath = "/"\nweight = 9\ncheck = { contains = "a" }\n'
        '[[page]]\nname = "seldom"\npath = "/b/{id}/"\nvalues = { id = "3-5" }\ncheck = { contains = "b" }\n',
    )
    numbers = random.Random(1)
    counted = Counter(read.one(numbers).name for _ in range(2000))
    assert 1700 < counted["often"] < 1900
    assert read.paths == ["/", "/b/3/"]
