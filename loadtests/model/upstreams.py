"""The upstreams of somebody's own project, as the lab replays them: what they answer, and how long that takes. Pure.

A file upstreams.toml describes them; docs/own-workload.md says each of its keys.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from loadtests.errors import BadInput
from loadtests.model import tables
from loadtests.model.addresses import NAME
from loadtests.model.tables import Table, is_header

SERVICE = "upstreams"  # in compose/own.yaml
ADDRESS = "$LAB_UPSTREAMS"  # where they are, as services/own/project.py fills it in
VARIABLE = re.compile(r"[A-Za-z_]\w{0,80}", re.ASCII)
MOST_UPSTREAMS, MOST_ANSWERS = 50, 5000
LONGEST = 60.0  # seconds that an answer may take
HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")
CERTIFICATES = "/certificates"  # in containers: the folder of what signs for these hosts
TRUST = {"SSL_CERT_FILE": f"{CERTIFICATES}/ca.pem", "REQUESTS_CA_BUNDLE": f"{CERTIFICATES}/ca.pem"}
KEYS = ("name", "variable", "host", "latency", "latency_p99", "times", "histogram", "har", "answer")
ANSWER_KEYS = ("method", "path", "status", "headers", "body", "json", "file")
OF_CONNECTION = ("connection", "content-encoding", "content-length", "keep-alive", "set-cookie", "transfer-encoding")

Read = Callable[[str], bytes]  # a file beside upstreams.toml; raises BadInput


def of_file(content: bytes, name: str, read: Read) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the project's variables, and what the service is to replay. Raises BadInput."""
    return tables.of_file(content, name, lambda file: parse(file, read))


def parse(file: Table, read: Read) -> tuple[dict[str, str], dict[str, Any]]:
    """Return variables and upstreams by name. Raises BadInput."""
    file.refuse_unknown(("upstream",))
    described = file.tables("upstream", MOST_UPSTREAMS)
    if not described:
        raise BadInput(f"[[upstream]] must stand once, and {MOST_UPSTREAMS} times at the most; it stands 0 times")
    variables: dict[str, str] = {}
    upstreams: dict[str, Any] = {}
    for numbered in described:
        name = numbered.get("name", str)
        where = f"upstream {name[:40]!r}"
        table = replace(numbered, where=where)
        table.refuse_unknown(KEYS)
        variable, host = (table.get(key, str, "") for key in ("variable", "host"))
        if not variable and not host:
            raise BadInput(f"{where}: it needs a variable that names its address, or the host under which it is known")
        if not NAME.fullmatch(name) or name in upstreams:
            raise BadInput(f"{where}: name must be small letters, digits and -, and no other upstream's")
        if variable and (not VARIABLE.fullmatch(variable) or variable in variables):
            raise BadInput(f"{where}: variable must be the name of an environment variable, and no other upstream's")
        if host and (not HOST.fullmatch(host) or host in hosts_of(upstreams)):
            raise BadInput(f"{where}: host must be a name as in api.example.com, and no other upstream's")
        if variable:
            variables[variable] = f"{ADDRESS}/{name}"
        if host:
            variables |= TRUST
        upstreams[name] = {"host": host, **upstream(table, read)}
    return variables, upstreams


def hosts_of(upstreams: Mapping[str, Any]) -> list[str]:
    """Return the names under which the upstreams are known to the project."""
    return [described["host"] for described in upstreams.values() if described["host"]]


def upstream(table: Table, read: Read) -> dict[str, Any]:
    """Return what one upstream answers and how long it takes. Raises BadInput."""
    where = table.where
    ways = {"latency", "times", "histogram"} & set(table.content)
    if len(ways) > 1 or ("latency_p99" in table.content and "latency" not in ways):
        raise BadInput(f"{where}: its time is latency, with latency_p99 where calls differ, or times, or histogram")
    recorded = list(recording(read(table.get("har", str)), where)) if "har" in table.content else []
    written = table.tables("upstream.answer", MOST_ANSWERS)
    answers = [answer(replace(one, where=f"{where}, {one.where}"), read) for one in written]
    answers += [one for one, _ in recorded]
    if not 0 < len(answers) <= MOST_ANSWERS:
        raise BadInput(f"{where}: it needs [[upstream.answer]] or har, {MOST_ANSWERS} answers at the most")
    latency, slowest = seconds(table, "latency"), seconds(table, "latency_p99")
    if slowest and not 0 < latency <= slowest:
        raise BadInput(f"{where}: latency_p99 must be at least latency, the median, which must be above 0")
    histogram = read(table.get("histogram", str)) if "histogram" in table.content else b""
    times = table.get("times", list, [] if ways else [took for _, took in recorded])
    return {
        "answers": answers,
        "latency": latency,
        "latency_p99": slowest,
        "times": sorted(seconds(Table({"times": value}, where), "times") for value in times),
        "histogram": histogram.decode(errors="replace"),
    }


def seconds(table: Table, key: str) -> float:
    return table.number(key, 0, f"seconds from 0 to {LONGEST:g}", lambda value: 0 <= value <= LONGEST)


def answer(table: Table, read: Read) -> dict[str, Any]:
    """Return an answer that the file describes. Raises BadInput."""
    table.refuse_unknown(ANSWER_KEYS)
    path = table.get("path", str)
    if not path.startswith("/") or re.search(r"[\s\x00-\x1f\x7f]", path):
        raise BadInput(f"{table.where}: path must begin with / and hold no space; a * at its end stands for any rest")
    headers, text = table.message("file")
    body = read(table.get("file", str)) if "file" in table.content else text.encode()
    return replayed(table.method(), path, table.whole("status", 200, 100, 599), headers, body)


def replayed(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    kept = {name.lower(): value for name, value in headers.items() if name.lower() not in OF_CONNECTION}
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
        raise BadInput(f"{where}: har must be a HAR, as a browser saves it ({error!r:.120})") from error
