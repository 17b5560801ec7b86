"""`loadtests pages`: propose a pages.toml from a HAR, an access log or an OpenAPI 3 document."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from loadtests.errors import BadInput
from loadtests.host import given
from loadtests.model import workload
from loadtests.model.tables import JSON, WRITING

LARGEST = 32 * 2**20  # bytes
LARGEST_YAML = 2**18  # bytes: pyyaml reads about 50 KB/s where it is safe against deep nesting
MOST_VALUES, MOST_CHARACTERS = 100, 4000  # of a page's placeholders
LONGEST_PATH = LONGEST_BODY = 2000  # characters
MOST_ANSWERS = 50  # of a page, that its check is read from
STATIC = re.compile(
    r"\.(css|m?js|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|mp[34]|webm|wasm)$", re.IGNORECASE
)
STATIC_TYPE = re.compile(r"(image|font|audio|video)/|text/css|(text|application)/(x-)?javascript", re.IGNORECASE)
SECRET = re.compile(
    r"auth|token|secret|passw|pwd|session|cookie|csrf|xsrf|api.?key|signature|credential|jwt|^(sig|key|sid|otp|pin|code)$",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(r"eyJ[\w-]{10,}\.|(?i:bearer )|(?=\S*[a-z])(?=\S*[A-Z])(?=\S*\d)[^\s/]{32,}")
KEPT_HEADERS = ("accept", "x-requested-with", "hx-request")
VARYING = {  # parts of a path
    "id": re.compile(r"\d+", re.ASCII),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
    "key": re.compile(r"(?=.*\d)[0-9a-f]{8,}", re.IGNORECASE),
}
SLUG = re.compile(r"(?=.*[-_\d])[\w.~-]{3,}", re.ASCII)
FEWEST_SLUGS = 3  # different ones in one place, before they are taken for values
# Two fixed formats need no library; what follows the size (referrer, browser) is not read.
LOG_LINE = re.compile(r'[^\[]{1,300}\[[^\]]{1,60}\] "([A-Z]{3,10}) (\S{1,8000}) HTTP/[\d.]+" (\d{3}) (\d+|-)')
LARGER = "record fewer pages, take the log's last lines, or write YAML as JSON"
OPERATIONS = ("get", "post", "put", "patch", "delete")
SHAPES = "a HAR (JSON), an access log in common or combined form, or an OpenAPI 3 document (JSON or YAML)"


Query = tuple[tuple[str, str], ...]
Proposal = tuple[list[str], list[str]]  # notes, and the lines of the pages' tables


@dataclass(frozen=True)
class Request:
    """A recorded request and its answer; `size` in bytes."""

    method: str
    host: str
    path: str
    query: Query
    status: int
    size: int = 0
    content_type: str = ""
    answer: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


def main(recording: str, write_to: str) -> int:
    """Write the proposed pages.toml, to standard output if `write_to` is empty. Raises BadInput."""
    if write_to and Path(write_to).exists():
        raise BadInput(f"{write_to[:200]} exists and is not overwritten: name another file, or move it away")
    text = propose(Path(recording))
    try:
        with Path(write_to).open("x", encoding="utf-8") if write_to else nullcontext(sys.stdout) as stream:
            stream.write(text)
    except (OSError, ValueError) as error:
        raise BadInput(f"{write_to[:200]} cannot be written: {error}. Name a new file in a folder of yours") from error
    return 0


def is_yaml(recording: str) -> bool:
    return recording.lower().endswith((".yaml", ".yml"))


def propose(file: Path) -> str:
    """Return the text of a pages.toml. Raises BadInput."""
    text = read(file)
    try:
        notes, tables = pages_of(file.name, text)
    except RecursionError as error:
        raise BadInput(f"{file.name} is nested too deeply; it must be {SHAPES}") from error
    lines = [
        comment(f"Proposed from {file.name}. Look at each page before you use it, and above all at its check:"),
        "# it comes from what was recorded, and must fail when the page is not whole.",
        "# Values of placeholders are asked for equally often, in combinations that may never have been recorded.",
        *map(comment, notes),
        *tables,
    ]
    made = ("\n".join(lines) + "\n").encode("utf-8", "replace")
    try:
        workload.of_file(made, "what it proposes")
    except BadInput as error:
        raise BadInput(f"no page can be proposed from {file.name}: {error}. {' '.join(notes)}"[:600]) from error
    return made.decode()


def read(file: Path) -> str:
    """Return the recording's text. Raises BadInput."""
    most = LARGEST_YAML if is_yaml(file.name) else LARGEST
    content = given.read(file, most, str(file)[:200], f". Name {SHAPES}; of a large one {LARGER}")
    if b"\0" in content:
        raise BadInput(f"{file.name} is a binary file; it must be {SHAPES}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file.name} is not UTF-8 text; it must be {SHAPES}") from error


def pages_of(name: str, text: str) -> Proposal:
    """Return what a recording proposes. Raises BadInput, RecursionError."""
    if not is_yaml(name) and text.lstrip()[:1] not in {"{", "["}:
        return from_requests([from_log(line) for line in text.splitlines() if line.strip()], name)
    document = loaded(name, text)
    if str(at(document, "openapi", kind=object)).startswith("3"):
        return from_openapi(document, name)
    entries = at(document, "log", "entries", kind=object)
    if not isinstance(entries, list):
        raise BadInput(f"{name} is neither a HAR (log.entries) nor OpenAPI 3 (openapi, paths); it must be {SHAPES}")
    return from_requests([from_har(entry) for entry in entries], name)


def loaded(name: str, text: str) -> Any:
    """Return the content of JSON or YAML. Raises BadInput, RecursionError."""
    if not is_yaml(name):
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadInput(f"{name} is not whole JSON: {error!s:.200}; it must be {SHAPES}") from error
    import yaml  # noqa: PLC0415  # not on the system's Python

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise BadInput(f"{name} is not YAML: {error!s:.200}") from error


def at(content: Any, *names: str, kind: type = dict) -> Any:
    """Return what stands under these names, one within the other; an empty `kind` where it is none."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, kind) else kind()


def listed(content: Any, *names: str) -> list[dict[str, Any]]:
    return [item for item in at(content, *names, kind=list) if isinstance(item, dict)]


def split(target: str) -> tuple[str, str, Query]:
    """Return host, path and query. Raises ValueError."""
    url = urlsplit(target)
    if url.scheme not in {"", "http", "https"} or not url.path.startswith("/") or url.path.startswith("//"):
        raise ValueError(target)
    return url.netloc.rpartition("@")[2].lower(), url.path, tuple(parse_qsl(url.query, keep_blank_values=True))


def from_har(entry: Any) -> Request | None:
    """Return an entry of a HAR; None where it cannot be read."""
    request, response, content = at(entry, "request"), at(entry, "response"), at(entry, "response", "content")
    answer, body = str(content.get("text") or ""), str(at(request, "postData").get("text") or "")
    try:
        if content.get("encoding") == "base64":
            answer = base64.b64decode(answer).decode("utf-8", "replace")
        host, path, query = split(str(request.get("url")))
        status, size = int(response.get("status") or 0), int(content.get("size") or 0)
    except (ValueError, TypeError, OverflowError):
        return None
    headers = {str(header.get("name")): str(header.get("value")) for header in listed(request, "headers")}
    method, kind = str(request.get("method")).upper(), str(content.get("mimeType") or "")
    return Request(method, host, path, query, status, size, kind, answer, headers, body)


def from_log(line: str) -> Request | None:
    """Return a line of an access log; None where it cannot be read."""
    if not (match := LOG_LINE.match(line)):
        return None
    try:
        return Request(match[1], *split(match[2]), int(match[3]), int(match[4].replace("-", "0")))
    except ValueError:
        return None


def from_requests(recorded: Sequence[Request | None], name: str) -> Proposal:
    """Return what requests propose; None stands for one that cannot be read. Raises BadInput."""
    requests = [request for request in recorded if request]
    if not requests:
        raise BadInput(f"{name} holds no request that can be read, of {len(recorded)} entries; it must be {SHAPES}")
    out = Counter({"not readable": len(recorded) - len(requests)})
    dynamic = [r for r in requests if not STATIC.search(r.path) and not STATIC_TYPE.match(r.content_type)]
    out["static files"] = len(requests) - len(dynamic)
    host = Counter(r.host for r in dynamic).most_common(1)[0][0] if dynamic else ""
    kept = []
    for request in dynamic:
        if request.host != host:
            out[f"to other hosts than {host or 'the log’s own'}"] += 1
        elif request.method not in {"GET", *WRITING}:
            out["by methods that are no page"] += 1
        elif not 200 <= request.status < 400:
            out["without an answer or answered with an error"] += 1
        elif secret_path(request.path) or len(request.path) > LONGEST_PATH:
            out["with a secret in the path, or a path too long"] += 1
        else:
            kept.append(request)
    chosen = sorted(grouped(kept).items(), key=lambda item: -len(item[1]))[: workload.MOST_PAGES]
    out["of pages beyond the most frequent 100"] = len(kept) - sum(len(group) for _, group in chosen)
    notes = [f"Left out, {number} requests: {why}." for why, number in out.items() if number]
    notes.append("Left out: cookies, Authorization and all headers but Accept, X-Requested-With and HX-Request.")
    if secrets := {n for r in kept for n in (*r.headers, *dict(r.query)) if SECRET.search(n)}:
        notes.append(f"Left out as secrets: {', '.join(sorted(secrets))[:300]}.")
    tables: list[str] = []
    for (method, pattern, _), group in chosen:
        status = Counter(200 if r.status == 304 else r.status for r in group).most_common(1)[0][0]
        same = [r for r in group if r.status == status or (status, r.status) == (200, 304)]
        check = proposed(same, status)
        if not check:
            notes.append(f"Left out: {method} {'/'.join(pattern)[:200]}: no answer to propose a check from.")
            continue
        path, values = filled(pattern, same)
        tables += written(method, path, values, len(same), check, request_lines(same[0]))
    return notes, tables


def secret_path(path: str) -> bool:
    parts = path.split("/")
    return any(SECRET_VALUE.match(part) for part in parts) or any(
        SECRET.search(before) and (len(part) >= 16 or VARYING["key"].fullmatch(part))
        for before, part in pairwise(parts)
    )


def general(part: str) -> str:
    """Return a part of a path, or what it is one of many of: {id}."""
    for kind, form in VARYING.items():
        if form.fullmatch(part):
            return f"{{{kind}}}"
    return quote(unquote(part), safe=":@!$&'()*+,;=~")


def spots(request: Request) -> list[tuple[tuple[str | None, ...], str]]:
    """Return the parts of the path's pattern, each with its place: the method and the other parts; () if no slug."""
    pattern = [general(part) for part in request.path.split("/")]
    return [
        ((request.method, *pattern[:at], None, *pattern[at + 1 :]) if SLUG.fullmatch(part) else (), part)
        for at, part in enumerate(pattern)
    ]


def grouped(requests: Sequence[Request]) -> dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[Request]]:
    """Return the requests by method, pattern of the path and names in the query."""
    slugs: dict[Any, set[str]] = defaultdict(set)  # by place
    for request in requests:
        for place, part in spots(request):
            if place:
                slugs[place].add(part)
    several = {place for place, parts in slugs.items() if len(parts) >= FEWEST_SLUGS}
    groups = defaultdict(list)
    for request in requests:
        pattern = tuple("{slug}" if place in several else part for place, part in spots(request))
        groups[request.method, pattern, query_names(request)].append(request)
    return groups


def query_names(request: Request) -> tuple[str, ...]:
    return tuple(sorted({name for name, value in request.query if not is_secret(name, value)}))


def is_secret(name: str, value: Any) -> bool:
    return bool(SECRET.search(name) or (isinstance(value, str) and SECRET_VALUE.match(value)))


def filled(pattern: Sequence[str], requests: Sequence[Request]) -> tuple[str, dict[str, list[str]]]:
    """Return the path with its placeholders, and their recorded values."""
    values: dict[str, list[str]] = {}
    parts = [
        placeholder(part[1:-1], values, [r.path.split("/")[at] for r in requests]) if part.startswith("{") else part
        for at, part in enumerate(pattern)
    ]
    query = []
    for name in query_names(requests[0]):
        recorded = [dict(r.query).get(name, "") for r in requests]
        varying = [text for text in recorded if not is_secret("", text)] or [""]
        same = len(set(recorded)) == 1
        query.append((name, quote(recorded[0], safe="") if same else placeholder(name, values, varying)))
    return with_query("/".join(parts), query), values


def with_query(path: str, query: Sequence[tuple[str, str]]) -> str:
    words = "&".join(f"{quote(name, safe='')}={text}" for name, text in query)
    return f"{path}?{words}" if words else path


def placeholder(name: str, values: dict[str, list[str]], texts: list[str]) -> str:
    """Return a placeholder of a new name, with these texts as its values."""
    clean = re.sub(r"\W", "_", name, flags=re.ASCII)[:40]
    clean = clean if re.match(r"[A-Za-z_]", clean) and clean != workload.CSRF else f"value_{clean}"
    free = next(n for n in (clean, *(f"{clean}_{i}" for i in range(2, 9999))) if n not in values)
    values[free] = texts
    return f"{{{free}}}"


def proposed(requests: Sequence[Request], status: int) -> dict[str, Any]:
    """Return a check that each of the answers passes; nothing if there is none."""
    answers = [r.answer for r in requests if r.answer][:MOST_ANSWERS]
    contents = []
    if answers and "json" in requests[0].content_type.lower():
        with suppress(ValueError, RecursionError):
            contents = [json.loads(answer) for answer in answers]
    sizes = [len(r.answer.encode("utf-8", "replace")) or r.size for r in requests if r.status != 304]
    if text := next(texts_of(answers), ""):
        return check_of(status, contents, {"contains": text})
    return check_of(status, contents, {"min_bytes": min(sizes)} if sizes and 0 < min(sizes) < 2**40 else {})


def texts_of(answers: Sequence[str]) -> Iterator[str]:
    """Yield the titles, or else the JSON's names, that all answers hold."""
    first = answers[0] if answers else ""
    texts = re.findall(r"<(?:title|h1|h2)\b[^<>]{0,300}>([^<>]{3,200})</", first[:100_000])
    texts += re.findall(r'"\w{2,40}"', first[:10_000])[:20] if first.lstrip()[:1] in {"{", "["} else []
    for text in (word.strip() for whole in texts for word in (whole, *re.split(r" [-–—|:·] ", whole))):
        if len(text) > 2 and "@" not in text and all(text in answer for answer in answers):
            yield text


def check_of(status: int, contents: Sequence[Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a check for the status, and for a value that all contents have, or else `other`."""
    check: dict[str, Any] = {} if status == 200 else {"status": status}
    if 300 <= status < 400 or status == 204:
        return check
    if found := common(contents):
        return {**check, "json": dict([found])}
    return {**check, **other} if other else {}


def common(contents: Sequence[Any]) -> tuple[str, Any] | None:
    """Return a path and value that all contents have, if there is one."""
    for path, value in leaves(contents[0], "", 5) if contents else ():
        try:
            if all(workload.at(c, path) == value and type(workload.at(c, path)) is type(value) for c in contents):
                return path, value
        except (KeyError, IndexError, TypeError, ValueError):
            continue
    return None


def leaves(content: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    is_list = isinstance(content, list)
    items = enumerate(content[:1]) if is_list else at(content).items()
    for key, value in list(items)[:100]:
        where = f"{path}.{key}".lstrip(".")
        if key == "" or "." in str(key) or is_secret(str(key), value):
            continue
        if isinstance(value, dict | list) and depth:
            yield from leaves(value, where, depth - 1)
        elif isinstance(value, bool | int) or (isinstance(value, str) and 0 < len(value) < 80 and "@" not in value):
            yield where, value


def request_lines(request: Request) -> list[str]:
    """Return the keys of a request's headers and body, without secrets."""
    headers = {n: v for n, v in request.headers.items() if n.lower() in KEPT_HEADERS and not re.search(r"[\r\n\0]", v)}
    lines = [f"headers = {toml(headers)}"] if headers and len(str(headers)) < LONGEST_BODY else []
    if not request.body or len(request.body) > LONGEST_BODY:
        return [*lines, "# The request's body is left out: it is too long."] if request.body else lines
    try:
        body = without_secrets(json.loads(request.body))
        kind = {**headers, "Content-Type": JSON}
        return [f"headers = {toml(kind)}", f"body = {toml(json.dumps(body))}", "# Secrets in the body are left out."]
    except ValueError:
        form = dict(parse_qsl(request.body)) if "\n" not in request.body else {}
    token = {"csrfmiddlewaretoken": "{csrf}"} if "csrfmiddlewaretoken" in form else {}
    form = {n: v for n, v in form.items() if not is_secret(n, v)} | token
    return [*lines, f"form = {toml(form)}", "# Secrets in the form are left out."]


def without_secrets(content: Any) -> Any:
    if isinstance(content, dict):
        return {n: without_secrets(v) for n, v in content.items() if not is_secret(n, v)}
    return [without_secrets(v) for v in content] if isinstance(content, list) else content


def from_openapi(document: dict[str, Any], name: str) -> Proposal:
    """Return what the paths of an OpenAPI document propose. Raises BadInput."""
    operations = [
        (method.upper(), path, item, item[method])
        for path, item in at(document, "paths").items()
        for method in OPERATIONS
        if isinstance(path, str) and path.startswith("/") and isinstance(at(item, method, kind=object), dict)
    ]
    if not operations:
        raise BadInput(f"{name} describes no paths: OpenAPI needs paths with {', '.join(OPERATIONS)}")
    tables: list[str] = []
    for method, template, item, operation in operations[: workload.MOST_PAGES]:
        values: dict[str, list[str]] = {}
        path, query = quote(template, safe="/{}:@!$&'()*+,;=~"), []
        parameters = [resolved(document, p) for p in listed(item, "parameters") + listed(operation, "parameters")]
        for hole in re.findall(r"\{([^{}]*)\}", template):
            texts = examples(document, next((p for p in parameters if p.get("name") == hole), {}))
            path = path.replace(quote(f"{{{hole}}}", safe="{}"), placeholder(hole, values, texts), 1)
        for parameter in parameters:
            label = str(parameter.get("name"))
            if parameter.get("in") == "query" and parameter.get("required") is True and not SECRET.search(label):
                query.append((label, placeholder(label, values, examples(document, parameter))))
        tables += written(method, with_query(path, query), values, 1, described(document, operation), [])
    notes = ["Left out: authentication, optional parameters and request bodies. Each weight is 1: correct it."]
    if len(operations) > workload.MOST_PAGES:
        notes.append(f"Left out: {len(operations) - workload.MOST_PAGES} operations beyond the first 100.")
    return notes, tables


def resolved(document: dict[str, Any], item: Any) -> dict[str, Any]:
    """Follow $ref within the document, at most ten times."""
    for _ in range(10):
        if not (reference := at(item, "$ref", kind=str)):
            break
        names = reference.removeprefix("#/").split("/")
        item = at(document, *(name.replace("~1", "/").replace("~0", "~") for name in names))
    found: dict[str, Any] = at(item)
    return found


def examples(document: dict[str, Any], parameter: dict[str, Any]) -> list[str]:
    schema = resolved(document, parameter.get("schema"))
    options = [parameter.get("example"), schema.get("example"), schema.get("default"), *at(schema, "enum", kind=list)]
    usable = [str(o) for o in options if isinstance(o, str | int) and not is_secret("", o)]
    return usable or ["1" if schema.get("type") in {"integer", "number"} else "CHANGE-ME"]


def described(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """Return a check: the first status that is no error, and a required property or a value of its example."""
    responses = {str(s): r for s, r in at(operation, "responses").items()}
    status = next((s for s in sorted(responses) if re.fullmatch(r"[23]\d\d", s)), "200")
    media = at(resolved(document, responses.get(status)), "content", "application/json")
    schema = resolved(document, media.get("schema"))
    schema = resolved(document, schema["items"]) if "items" in schema else schema
    name = next((n for n in at(schema, "required", kind=list) if isinstance(n, str)), None)
    contents = [media["example"]] if "example" in media else []
    return check_of(int(status), contents, {"min_bytes": 1} if name is None else {"contains": json.dumps(name[:200])})


def written(  # noqa: PLR0913, PLR0917  # a page's keys
    method: str, path: str, values: dict[str, list[str]], weight: int, check: dict[str, Any], more: list[str]
) -> list[str]:
    """Return the lines of a page's table, commented out where the method may change what is stored."""
    lines = ["[[page]]", f"path = {toml(path)}", f"weight = {min(weight, 1_000_000)}"]
    if method in WRITING:
        lines.insert(1, f"method = {toml(method)}")
    for name, texts in values.items():
        distinct, room = list(dict.fromkeys(texts)), MOST_CHARACTERS // len(values)
        kept = [text for at, text in enumerate(distinct[:MOST_VALUES]) if sum(map(len, distinct[: at + 1])) <= room]
        kept = kept or [distinct[0][:room]]
        lines.append(f"values.{name} = {toml(kept)}")
        if len(kept) < len(distinct):
            lines.append(f"# {len(distinct) - len(kept)} further values of {name} are left out.")
    lines += [*more, f"check = {toml(check)}  # look at it: does it fail when the page is not whole?"]
    if method in WRITING:
        head = f"# {method} may change what the project stores. To use it write writes = true at the top of the file:"
        return ["", head, *(f"# {line}" for line in lines)]
    return ["", *lines]


def comment(text: str) -> str:
    return "# " + re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "?", text)


def toml(value: Any) -> str:
    """Return a text, number, list or table as TOML writes it in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key(str(name))} = {toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml(name)
