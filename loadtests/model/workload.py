"""The pages of somebody's own project: what its users ask for, and what makes an answer whole. Pure.

A file pages.toml describes them; docs/own-workload.md says each of its keys.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from loadtests.errors import BadInput, did_you_mean
from loadtests.model.measurement import NO_ANSWER

READING = ("GET", "HEAD", "OPTIONS")
WRITING = ("POST", "PUT", "PATCH", "DELETE")
MOST_PAGES = 100
MOST_VALUES = 1_000_000  # of a placeholder
LARGEST_FILE = 2**20  # bytes
RANGE = re.compile(r"(\d{1,12})-(\d{1,12})", re.ASCII)
PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}", re.ASCII)
CSRF = "csrf"  # the placeholder of Django's token, which its cookie holds
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PAGE_KEYS = ("name", "method", "path", "values", "weight", "headers", "body", "json", "form", "check")
FILE_KEYS = ("writes", "setup", "page")
KINDS = {str: "text", bool: "true or false", dict: "a table", list: "a list"}


@dataclass(frozen=True, slots=True)
class Check:
    """What makes an answer whole: its status, and at least one thing of its content.

    `contains`: text of the body; `json`: values by path ("items.0.id"); `min_bytes`: of the body.
    """

    status: int = 200
    contains: str = ""
    json: Mapping[str, Any] = field(default_factory=dict, hash=False)
    min_bytes: int = 0

    def fault(self, status: int, body: bytes) -> str | None:
        """Return why the answer is not whole; None if it is. The same sentence for the same kind of fault."""
        if status == 0:
            return f"{NO_ANSWER}: the connection failed"
        if status != self.status:
            return f"status {status}, not {self.status}"
        if len(body) < self.min_bytes:
            return f"fewer than {self.min_bytes} bytes"
        if self.contains and self.contains.encode() not in body:
            return f"{self.contains[:40]!r} is not in the answer"
        return self._fault_of_json(body) if self.json else None

    def _fault_of_json(self, body: bytes) -> str | None:
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            return "the answer is not JSON"
        for path, expected in self.json.items():
            try:
                value = at(content, path)
            except (KeyError, IndexError, TypeError, ValueError):
                return f"the answer's JSON has no {path[:40]}"
            if value != expected or isinstance(value, bool) != isinstance(expected, bool):
                return f"{path[:40]} is not {expected!r:.40}"
        return None


def in_url(text: str) -> str:
    return quote(text, safe="")


def in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


FORM, JSON = "application/x-www-form-urlencoded", "application/json"
WRITTEN: Mapping[str, Callable[[str], str]] = {FORM: in_url, JSON: in_json}  # a value, in a body of this type


@dataclass(frozen=True, slots=True)
class OwnPage:
    """A request of a user. `weight`: how often it is asked for, against the others.

    `path`, `headers` and `body` may hold {placeholders}, which take one of their `values` each time; {csrf} is the
    token that the user's cookie holds.
    """

    name: str
    method: str
    path: str
    check: Check
    weight: float = 1.0
    values: Mapping[str, Values] = field(default_factory=dict, hash=False)
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: str = ""

    def filled(self, random: Random, csrf: str) -> tuple[str, dict[str, str], str]:
        """Return path, headers and body with a value in the place of each placeholder."""
        chosen = {name: values.one(random) for name, values in self.values.items()} | {CSRF: csrf}

        def fill(text: str, write: Callable[[str], str]) -> str:
            return PLACEHOLDER.sub(lambda at: write(chosen[at[1]]) if at[1] in chosen else at[0], text)

        headers = {name: fill(value, str) for name, value in self.headers.items()}
        write = WRITTEN.get(self.headers.get("Content-Type", ""), str)
        return fill(self.path, in_url), headers, fill(self.body, write)


@dataclass(frozen=True, slots=True)
class Values:
    """What a placeholder may be: whole numbers from `first` to `last`, or one of some texts."""

    texts: tuple[str, ...] = ()
    first: int = 0
    last: int = 0

    def one(self, random: Random) -> str:
        return random.choice(self.texts) if self.texts else str(random.randint(self.first, self.last))


@dataclass(frozen=True, slots=True)
class Workload:
    """What users of a project do: `setup` once each, in this order, and then one of the `pages` after the other."""

    pages: tuple[OwnPage, ...]
    setup: tuple[OwnPage, ...] = ()

    @property
    def words(self) -> str:
        """Return what its users ask for, as text."""
        names = ", ".join(page.name for page in self.pages[:3])
        return names if len(self.pages) <= 3 else f"{names} and {len(self.pages) - 3} more pages"

    @property
    def names(self) -> list[str]:
        return [page.name for page in self.pages]

    @property
    def paths(self) -> list[str]:
        """Return a path of each page, with the first of the values in the place of placeholders."""
        return [page.filled(_First(), "")[0].partition("?")[0] for page in self.pages]

    def one(self, random: Random, name: str | None = None) -> OwnPage:
        """Return the page of this name, or else one at random, by weight."""
        if named := [page for page in self.pages if page.name == name]:
            return named[0]
        return random.choices(self.pages, [page.weight for page in self.pages])[0]


class _First(Random):
    """Chooses the first of all that there is to choose from."""

    def random(self) -> float:
        return 0.0

    def getrandbits(self, k: int) -> int:
        return 0


def at(content: Any, path: str) -> Any:
    """Return the value at a path as 'items.0.id'. Raises KeyError, IndexError, TypeError, ValueError."""
    for name in path.split("."):
        content = content[int(name)] if isinstance(content, list) else content[name]
    return content


def of_file(content: bytes, name: str) -> Workload:
    """Return the workload that the content of a file pages.toml describes. Raises BadInput."""
    if len(content) > LARGEST_FILE:
        raise BadInput(f"{name} may hold {LARGEST_FILE // 2**20} MB; it is larger")
    try:
        return parse(tomllib.loads(content.decode()))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{name} is not TOML: {error}") from error
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error


def parse(content: Mapping[str, Any]) -> Workload:
    """Return the workload that a file's content describes. Raises BadInput."""
    refuse_unknown(content, FILE_KEYS, "the file")
    writes = typed(content, "writes", bool, "the file", default=False)
    setup = tuple(pages(content, "setup", writes=writes))
    own = tuple(pages(content, "page", writes=writes))
    if not own:
        raise BadInput("it describes no page: write at least one [[page]] with path and check")
    names = [page.name for page in own]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(f"two pages are called {twice[:80]!r}: give each a name of its own")
    return Workload(own, setup)


def pages(content: Mapping[str, Any], key: str, *, writes: bool) -> Iterator[OwnPage]:
    described = typed(content, key, list, "the file", default=[])
    if len(described) > MOST_PAGES:
        raise BadInput(f"[[{key}]] may stand {MOST_PAGES} times; it stands {len(described)} times")
    for number, table in enumerate(described, 1):
        if not isinstance(table, dict):
            raise BadInput(f"{key} must be written as [[{key}]], a table for each")
        yield page(table, f"{key} {number}", writes=writes or key == "setup")


def page(table: Mapping[str, Any], where: str, *, writes: bool) -> OwnPage:
    """Return the page that a table describes. Raises BadInput."""
    where = f"{where} ({typed(table, 'name', str, where, default='') or table.get('path', 'without a path')})"[:120]
    refuse_unknown(table, PAGE_KEYS, where)
    path = typed(table, "path", str, where)
    if not path.startswith("/") or path.startswith("//") or re.search(r"[\s\x00-\x1f\x7f]", path):
        raise BadInput(f"{where}: path must begin with one / and hold no space; it is {path[:80]!r}")
    method = method_of(table, where)
    if method in WRITING and not writes:
        raise BadInput(
            f"{where}: {method} may change what the project stores, thousands of times. If that is meant, write "
            "writes = true at the top of the file."
        )
    headers, body = content_of(table, where)
    values = {
        name: values_of(f"{where}: values.{name}", described)
        for name, described in typed(table, "values", dict, where, default={}).items()
    }
    used = {name for text in (path, body, *headers.values()) for name in PLACEHOLDER.findall(text)}
    if unused := sorted(set(values) - used):
        raise BadInput(f"{where}: values.{unused[0]} is used nowhere: write {{{unused[0]}}} in path, headers or body")
    if missing := sorted(set(PLACEHOLDER.findall(path)) - {*values, CSRF}):
        raise BadInput(f'{where}: {{{missing[0]}}} in path needs values.{missing[0]}, a list or a range as "1-100"')
    return OwnPage(
        name=typed(table, "name", str, where, default="") or f"{method} {path}",
        method=method,
        path=path,
        check=check(typed(table, "check", dict, where, default={}), f"{where}: check", bodiless=method == "HEAD"),
        weight=number(table, "weight", where, 1.0),
        values=values,
        headers=headers,
        body=body,
    )


def content_of(table: Mapping[str, Any], where: str) -> tuple[dict[str, str], str]:
    """Return the request's headers and body. Raises BadInput."""
    headers = headers_of(table, where)
    refuse_several(table, ("body", "json", "form"), where)
    if "json" in table:
        return {"Content-Type": JSON, **headers}, as_json(table["json"], where)
    if "form" in table:
        form = typed(table, "form", dict, where)
        body = urlencode({name: str(value) for name, value in form.items()}, safe="{}")
        return {"Content-Type": FORM, **headers}, body
    return dict(headers), typed(table, "body", str, where, default="")


def is_header(name: str, value: Any) -> bool:
    return bool(HEADER.fullmatch(name)) and isinstance(value, str) and not re.search(r"[\r\n\x00]", value)


def headers_of(table: Mapping[str, Any], where: str) -> dict[str, str]:
    """Return the headers that a table describes. Raises BadInput."""
    headers: dict[str, str] = typed(table, "headers", dict, where, default={})
    if wrong := [name for name, value in headers.items() if not is_header(name, value)]:
        raise BadInput(f"{where}: headers must be names with texts of one line; one is {wrong[0][:40]!r}")
    return headers


def refuse_several(table: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    """Raise BadInput where a table has more than one of these keys."""
    if len(given := [key for key in keys if key in table]) > 1:
        raise BadInput(f"{where}: {' and '.join(given)} exclude each other")


def method_of(table: Mapping[str, Any], where: str) -> str:
    """Return the method that a table names. Raises BadInput."""
    method: str = typed(table, "method", str, where, default="GET").upper()
    if method not in (*READING, *WRITING):
        raise BadInput(f"{where}: method must be one of {', '.join((*READING, *WRITING))}; it is {method[:80]!r}")
    return method


def as_json(value: Any, where: str) -> str:
    """Return the value as JSON. Raises BadInput."""
    try:
        return json.dumps(value, default=str, allow_nan=False)
    except ValueError as error:
        raise BadInput(f"{where}: json must hold what JSON can: {error}") from error


def values_of(where: str, described: Any) -> Values:
    """Return what a placeholder may be. Raises BadInput."""
    if isinstance(described, str) and (match := RANGE.fullmatch(described)) and int(match[1]) <= int(match[2]):
        return Values(first=int(match[1]), last=int(match[2]))
    texts = described if isinstance(described, list) else []
    if 0 < len(texts) <= MOST_VALUES and all(
        isinstance(text, str | int) and not isinstance(text, bool) for text in texts
    ):
        return Values(tuple(map(str, texts)))
    raise BadInput(f'{where} must be a list of texts and whole numbers, or a range as "1-100"')


def check(table: Mapping[str, Any], where: str, *, bodiless: bool) -> Check:
    """Return the check that a table describes, which must look beyond the status. Raises BadInput."""
    refuse_unknown(table, ("status", "contains", "json", "min_bytes"), where)
    made = Check(
        status=whole(table, "status", where, 200, 100, 599),
        contains=typed(table, "contains", str, where, default=""),
        json=typed(table, "json", dict, where, default={}),
        min_bytes=whole(table, "min_bytes", where, 0, 0, 2**40),
    )
    looks = made.contains or made.json or made.min_bytes
    redirects = 300 <= made.status < 400 or made.status == 204  # which have no content to look at
    if not looks and not bodiless and not redirects:
        raise BadInput(
            f"{where} must say what a whole answer holds, beside its status: a page whose upstream fails may answer "
            '200 all the same. Write contains = "…", json = { "path.to.value" = … } or min_bytes = …'
        )
    return made


def refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for name in table:
        if name not in known:
            raise BadInput(
                f"{where} may hold {', '.join(known)}; it holds {str(name)[:80]!r}{did_you_mean(str(name), known)}"
            )


def typed(table: Mapping[str, Any], key: str, kind: type, where: str, *, default: Any = None) -> Any:
    """Return the value of a key, which has this type. Raises BadInput, also where it is missing without a default."""
    value = table.get(key, default)
    if value is None:
        raise BadInput(f"{where} needs {key}, {KINDS[kind]}")
    if not isinstance(value, kind):
        raise BadInput(f"{where}: {key} must be {KINDS[kind]}; it is {value!r:.80}")
    return value


def number(table: Mapping[str, Any], key: str, where: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e6 or math.isnan(value):
        raise BadInput(f"{where}: {key} must be a number above 0, at most a million; it is {value!r:.80}")
    return float(value)


def whole(  # noqa: PLR0913, PLR0917  # a bound has two ends
    table: Mapping[str, Any], key: str, where: str, default: int, least: int, most: int
) -> int:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadInput(f"{where}: {key} must be a whole number from {least} to {most}; it is {value!r:.80}")
    return value
