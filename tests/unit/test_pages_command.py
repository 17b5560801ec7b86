"""`loadtests pages`: a recording becomes a pages.toml that can be read back."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from loadtests.command_line import main
from loadtests.errors import BadInput, ExitCode
from loadtests.host import pages
from loadtests.model import workload
from loadtests.model.workload import OwnPage

UUID = "123e4567-e89b-12d3-a456-426614174000"


def entry(url: str, answer: str = "", kind: str = "text/html", **more: Any) -> dict[str, Any]:
    request = {"method": more.get("method", "GET"), "url": url, "headers": more.get("headers", [])}
    request["postData"] = {"text": more.get("body", "")}
    content = {"mimeType": kind, "text": answer, "size": len(answer)}
    return {"request": request, "response": {"status": more.get("status", 200), "content": content}}


def har(*entries: Any) -> str:
    return json.dumps({"log": {"entries": entries}})


def of(text: str, folder: Path, name: str = "recording.har") -> tuple[dict[str, OwnPage], str]:
    """The pages by name, as the lab reads what was written, and the text."""
    file, written = folder / name, folder / "pages.toml"
    file.write_text(text, encoding="utf-8")
    written.unlink(missing_ok=True)
    assert pages.main(str(file), str(written)) == 0
    proposed = written.read_text(encoding="utf-8")
    return {page.name: page for page in workload.of_file(proposed.encode(), written.name).pages}, proposed


def test_requests_are_grouped_by_pattern_with_recorded_values_and_weighed_by_count(tmp_path: Path) -> None:
    urls = ["/items/1/", "/items/2/", "/items/2/", f"/u/{UUID}", "/k/deadbeef01", "/?page=1", "/?page=2"]
    urls += [f"/shop/{slug}/" for slug in ("red-shirt", "blue-shirt", "old-hat")]
    found, _ = of(har(*(entry(f"https://shop.example{url}", "<title>Shop</title>") for url in urls)), tmp_path)
    weights = {name: page.weight for name, page in found.items()}
    assert weights == {
        "GET /items/{id}/": 3, "GET /u/{uuid}": 1, "GET /k/{key}": 1, "GET /?page={page}": 2, "GET /shop/{slug}/": 3
    }  # fmt: skip
    assert found["GET /items/{id}/"].values["id"] == ("1", "2")
    assert found["GET /items/{id}/"].check.contains == "Shop"


def test_static_files_and_other_hosts_are_left_out_and_counted(tmp_path: Path) -> None:
    page = entry("https://shop.example/", "<h1>Hello</h1>")
    others = [entry(f"https://cdn.example/{n}.css") for n in range(5)] + [
        entry("https://shop.example/i", "", "image/png")
    ]
    found, text = of(har(page, page, entry("https://other.example/", "x"), *others), tmp_path)
    assert list(found) == ["GET /"]
    assert "# Left out, 6 requests: static files." in text
    assert "# Left out, 1 requests: to other hosts than shop.example." in text


def test_no_secret_is_written(tmp_path: Path) -> None:
    headers = [{"name": n, "value": "s3cr3t"} for n in ("Cookie", "Authorization", "X-Api-Key")]
    headers.append({"name": "Accept", "value": "text/html"})
    answer = json.dumps({"token": "s3cr3t", "nested": {"password": "s3cr3t"}, "name": "shop"})
    body = json.dumps({"user": "me", "password": "s3cr3t"})
    _, text = of(
        har(
            entry("https://a:s3cr3t@h/?access_token=s3cr3t&q=1", answer, "application/json", headers=headers),
            entry("https://h/reset/token/s3cr3ts3cr3ts3cr3t/", "<title>Reset</title>"),
            entry("https://h/login", "<title>in</title>", method="POST", body=body, headers=headers),
            entry(
                "https://h/form", "<title>in</title>", method="POST", body="csrfmiddlewaretoken=s3cr3t&pin=s3cr3t&a=b"
            ),
        ),
        tmp_path,
    )
    assert "s3cr3t" not in text
    assert "Left out as secrets: Authorization, Cookie, X-Api-Key, access_token" in text
    assert 'Accept = "text/html"' in text


def test_what_writes_is_commented_out_and_can_be_read_once_it_is_allowed(tmp_path: Path) -> None:
    post = entry("https://h/buy/", "<title>Bought</title>", method="POST", body="csrfmiddlewaretoken=x&n=3")
    found, text = of(har(entry("https://h/", "<title>Shop</title>"), post), tmp_path)
    assert list(found) == ["GET /"]
    assert "# POST may change what the project stores" in text
    table = text[text.index("# [[page]]") :].split("\n\n")[0]
    allowed = "writes = true\n" + re.sub("^# ", "", table, flags=re.MULTILINE)
    [page] = workload.of_file(allowed.encode(), "allowed.toml").pages
    assert page.filled(random.Random(1), "t0k3n")[2] == "n=3&csrfmiddlewaretoken=t0k3n"


def test_a_check_holds_for_every_recorded_answer_and_errors_propose_none(tmp_path: Path) -> None:
    answers = [{"id": 1, "kind": "shirt"}, {"id": 2, "kind": "shirt"}]
    found, text = of(
        har(
            *(entry(f"https://h/i/{a['id']}", json.dumps(a), "application/json") for a in answers),
            entry("https://h/a/1", "<title>Red – Shop</title>"),
            entry("https://h/a/2", "<title>Blue – Shop</title>"),
            entry("https://h/broken", "<title>Sorry</title>", status=500),
            entry("https://h/old", status=302),
        ),
        tmp_path,
    )
    assert found["GET /i/{id}"].check.json == {"kind": "shirt"}
    assert found["GET /a/{id}"].check.contains == "Shop"
    assert found["GET /old"].check.status == 302
    assert "Sorry" not in text
    assert "# Left out, 1 requests: without an answer or answered with an error." in text


def test_a_log_proposes_the_smallest_size(tmp_path: Path) -> None:
    lines = [
        f'10.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "GET /items/{n}/?q=1 HTTP/1.1" 200 {900 + n} "-" "curl"'
        for n in (3, 2)
    ]
    found, text = of("\n".join([*lines, "odd"]), tmp_path, "access.log")
    assert found["GET /items/{id}/?q=1"].check.min_bytes == 902
    assert "# Left out, 1 requests: not readable." in text


OPENAPI = {
    "openapi": "3.1.0",
    "paths": {
        "/items/{item-id}": {
            "parameters": [{"name": "item-id", "in": "path", "schema": {"type": "integer", "example": 7}}],
            "get": {
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}
                }
            },
            "delete": {"responses": {"204": {}}},
        }
    },
    "components": {"schemas": {"Item": {"required": ["name"]}}},
}


@pytest.mark.parametrize("name", ["openapi.json", "openapi.yaml"])
def test_an_openapi_document_proposes_a_required_property(name: str, tmp_path: Path) -> None:
    found, text = of(json.dumps(OPENAPI), tmp_path, name)  # JSON is YAML
    page = found["GET /items/{item_id}"]
    assert (page.check.contains, page.values["item_id"]) == ('"name"', ("7",))
    assert "# DELETE may change" in text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.har", b"", "holds no request"),
        ("a.har", b"\0\1\2", "is a binary file"),
        ("a.har", b"\xff\xfe", "is not UTF-8"),
        ("a.har", b'{"log": ', "is not whole JSON"),
        ("a.har", b"[" * 200_000, "nested too deeply"),
        ("a.har", b'{"a": 1}', "is neither a HAR"),
        ("a.har", b'{"log": 3}', "is neither a HAR"),
        ("a.har", b'{"log": {"entries": []}}', "holds no request"),
        ("a.har", b'{"log": {"entries": [3, null, {}]}}', "holds no request"),
        ("a.har", har(entry("https://h/", "x", status=500)).encode(), "no page can be proposed"),
        ("a.log", b"hello\nworld\n", "holds no request that can be read, of 2"),
        ("a.json", b'{"openapi": "3.0.0", "paths": {}}', "describes no paths"),
        ("a.json", b'{"openapi": "3.0.0"}', "describes no paths"),
        ("a.yaml", b"a: [", "is not YAML"),
        ("a.yaml", b"[" * 5000, "nested too deeply"),
        ("a.yaml", b"#" * (pages.LARGEST_YAML + 1), "is larger than 0.25 MB"),
        ("a.har", b" " * 50_000_000, "is larger than 32 MB"),
    ],
)
def test_what_is_no_recording_is_refused_at_once(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    began = time.monotonic()
    with pytest.raises(BadInput) as refused:
        pages.main(str(file), "")
    assert said in str(refused.value)
    assert len(str(refused.value)) < 700
    assert time.monotonic() - began < 10


def test_a_missing_file_or_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.har", tmp_path, Path("a\0b"), Path("/dev/zero")):
        with pytest.raises(BadInput):
            pages.main(str(path), "")


def test_an_existing_file_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.har"
    file.write_text(har(entry("https://h/", "<title>Shop</title>")))
    assert main(["pages", str(file), f"--write-to={file}"]) == ExitCode.NOT_UP
    assert "is not overwritten" in capsys.readouterr().err
    assert file.read_text().startswith("{")


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    odd = 'a"]\n[[page]]\x7f\ud800{csrf}'
    found, _ = of(
        har(entry("https://h/{x}/%7By%7D?a=%0A{z}", f"<title>{odd}</title>", headers=[{"name": odd, "value": odd}])),
        tmp_path,
    )
    assert list(found) == ["GET /%7Bx%7D/%7By%7D?a=%0A%7Bz%7D"]


def test_it_needs_the_standard_library_alone(tmp_path: Path, root: Path) -> None:
    file = tmp_path / "a.har"
    file.write_text(har(entry("https://h/", "<title>Shop</title>")))
    code = f"import sys, runpy; sys.path.insert(0, {str(root)!r}); runpy.run_module('loadtests', run_name='__main__')"
    words = [sys.executable, "-I", "-S", "-c", code, "pages", str(file)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert 'contains = "Shop"' in ended.stdout
