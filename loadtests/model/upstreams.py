"""The upstreams of somebody's own project, as the lab replays them: what they answer, and how long that takes. Pure.

A file upstreams.toml describes them; docs/own-workload.md says each of its keys.
"""

from __future__ import annotations

import base64
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from loadtests.errors import BadInput
from loadtests.model.workload import (
    JSON,
    as_json,
    headers_of,
    is_header,
    method_of,
    refuse_several,
    refuse_unknown,
    typed,
    whole,
)

SERVICE = "upstreams"  # in compose/own.yaml
ADDRESS = "$LAB_UPSTREAMS"  # where they are, as services/own/project.py fills it in
NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
VARIABLE = re.compile(r"[A-Za-z_]\w{0,80}", re.ASCII)
MOST_UPSTREAMS, MOST_ANSWERS = 50, 5000
LONGEST = 60.0  # seconds that an answer may take
HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")
CERTIFICATES = "/certificates"  # in containers: the folder of what signs for these hosts
TRUST = {"SSL_CERT_FILE": f"{CERTIFICATES}/ca.pem", "REQUESTS_CA_BUNDLE": f"{CERTIFICATES}/ca.pem"}
KEYS = ("name", "variable", "host", "latency", "latency_p99", "times", "histogram", "har", "answer")
ANSWER_KEYS = ("method", "path", "status", "headers", "body", "json", "file")
OF_THE_CONNECTION = (
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "set-cookie",
    "transfer-encoding",
)

Read = Callable[[str], bytes]  # a file beside upstreams.toml; raises BadInput


def of_file(content: bytes, name: str, read: Read) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the project's variables, and what the service is to replay. Raises BadInput."""
    try:
        return parse(tomllib.loads(content.decode()), read)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{name} is not TOML: {error}") from error
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error


def parse(content: Mapping[str, Any], read: Read) -> tuple[dict[str, str], dict[str, Any]]:
    """Return variables and upstreams by name. Raises BadInput."""
    refuse_unknown(content, ("upstream",), "the file")
    tables = typed(content, "upstream", list, "the file", default=[])
    if not 0 < len(tables) <= MOST_UPSTREAMS:
        raise BadInput(
            f"[[upstream]] must stand once, and {MOST_UPSTREAMS} times at the most; it stands {len(tables)} times"
        )
    variables: dict[str, str] = {}
    upstreams: dict[str, Any] = {}
    for number, table in enumerate(tables, 1):
        if not isinstance(table, dict):
            raise BadInput("upstream must be written as [[upstream]], a table for each")
        name = typed(table, "name", str, f"upstream {number}")
        where = f"upstream {name[:40]!r}"
        if not NAME.fullmatch(name) or name in upstreams:
            raise BadInput(f"{where}: name must be small letters, digits and -, and no other upstream's")
        refuse_unknown(table, KEYS, where)
        variable, host = (typed(table, key, str, where, default="") for key in ("variable", "host"))
        if not variable and not host:
            raise BadInput(f"{where}: it needs a variable that names its address, or the host under which it is known")
        if variable and (not VARIABLE.fullmatch(variable) or variable in variables):
            raise BadInput(f"{where}: variable must be the name of an environment variable, and no other upstream's")
        if host and (not HOST.fullmatch(host) or host in hosts_of(upstreams)):
            raise BadInput(f"{where}: host must be a name as in api.example.com, and no other upstream's")
        if variable:
            variables[variable] = f"{ADDRESS}/{name}"
        if host:
            variables |= TRUST
        upstreams[name] = {"host": host, **upstream(table, where, read)}
    return variables, upstreams


def hosts_of(upstreams: Mapping[str, Any]) -> list[str]:
    """Return the names under which the upstreams are known to the project."""
    return [described["host"] for described in upstreams.values() if described["host"]]


def upstream(table: Mapping[str, Any], where: str, read: Read) -> dict[str, Any]:
    """Return what one upstream answers and how long it takes. Raises BadInput."""
    ways = [key for key in ("latency", "times", "histogram") if key in table]
    if len(ways) > 1 or ("latency_p99" in table and "latency" not in table):
        raise BadInput(f"{where}: its time is latency, with latency_p99 where calls differ, or times, or histogram")
    recorded = list(recording(read(typed(table, "har", str, where)), where)) if "har" in table else []
    written = typed(table, "answer", list, where, default=[])
    answers = [answer(described, f"{where}, answer {number}", read) for number, described in enumerate(written, 1)]
    answers += [one for one, _ in recorded]
    if not 0 < len(answers) <= MOST_ANSWERS:
        raise BadInput(f"{where}: it needs [[upstream.answer]] or har, {MOST_ANSWERS} answers at the most")
    latency, slowest = (seconds(table, key, where) for key in ("latency", "latency_p99"))
    if slowest and not 0 < latency <= slowest:
        raise BadInput(f"{where}: latency_p99 must be at least latency, the median, which must be above 0")
    histogram = read(typed(table, "histogram", str, where)) if "histogram" in table else b""
    times = typed(table, "times", list, where, default=[took for _, took in recorded] if not ways else [])
    return {
        "answers": answers,
        "latency": latency,
        "latency_p99": slowest,
        "times": sorted(seconds({"times": value}, "times", where) for value in times),
        "histogram": histogram.decode(errors="replace"),
    }


def seconds(table: Mapping[str, Any], key: str, where: str) -> float:
    value = table.get(key, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST:
        raise BadInput(f"{where}: {key} must be seconds from 0 to {LONGEST:g}; it is {value!r:.80}")
    return float(value)


def answer(described: Any, where: str, read: Read) -> dict[str, Any]:
    """Return an answer that the file describes. Raises BadInput."""
    if not isinstance(described, dict):
        raise BadInput(f"{where} must be written as [[upstream.answer]]")
    refuse_unknown(described, ANSWER_KEYS, where)
    path = typed(described, "path", str, where)
    method = method_of(described, where)
    if not path.startswith("/") or re.search(r"[\s\x00-\x1f\x7f]", path):
        raise BadInput(f"{where}: path must begin with / and hold no space; a * at its end stands for any rest")
    headers = headers_of(described, where)
    refuse_several(described, ("body", "json", "file"), where)
    body = typed(described, "body", str, where, default="").encode()
    if "json" in described:
        body = as_json(described["json"], where).encode()
        headers = {"content-type": JSON, **headers}
    if "file" in described:
        body = read(typed(described, "file", str, where))
    return replayed(method, path, whole(described, "status", where, 200, 100, 599), headers, body)


def replayed(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    kept = {name.lower(): value for name, value in headers.items() if name.lower() not in OF_THE_CONNECTION}
    encoded = base64.b64encode(body).decode()
    return {"method": method, "path": path, "status": status, "headers": kept, "body": encoded}


def recording(content: bytes, where: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield the answers of a HAR, with the seconds that each took. Raises BadInput."""
    try:
        for entry in json.loads(content)["log"]["entries"]:
            request, response = entry["request"], entry["response"]
            parts, held = urlsplit(request["url"]), response.get("content", {})
            text = held.get("text", "")
            body = base64.b64decode(text) if held.get("encoding") == "base64" else text.encode()
            headers = {header["name"]: str(header["value"]) for header in response.get("headers", ())}
            headers = {name: value for name, value in headers.items() if is_header(name, value)}
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            took = min(LONGEST, max(0.0, float(entry["time"]) / 1000))
            if 100 <= int(response["status"]) <= 599:  # 0: the browser had no answer
                yield replayed(str(request["method"]).upper(), path, int(response["status"]), headers, body), took
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{where}: har must be a HAR, as a browser's developer tools save it ({error!r:.120})"
        ) from error
