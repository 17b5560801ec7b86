"""The pages of somebody's own project: what its users ask for, and what makes an answer whole. Pure.

A file pages.toml describes them; docs/own-workload.md says each of its keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from loadtests.errors import BadInput
from loadtests.model import tables
from loadtests.model.measurement import NO_ANSWER
from loadtests.model.tables import JSON, WRITING, Table

MOST_PAGES = 100
MOST_VALUES = 1_000_000  # of a placeholder
LARGEST_FILE = 2**20  # bytes
RANGE = re.compile(r"(\d{1,12})-(\d{1,12})", re.ASCII)
PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}", re.ASCII)
CSRF = "csrf"  # the placeholder of Django's token, which its cookie holds
PAGE_KEYS = ("name", "method", "path", "values", "weight", "headers", "body", "json", "form", "check")
FILE_KEYS = ("writes", "setup", "page")
FORM = "application/x-www-form-urlencoded"


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


# How a value is written in a body of this type.
WRITTEN: Mapping[str, Callable[[str], str]] = {FORM: in_url, JSON: lambda text: json.dumps(text)[1:-1]}


def fill(text: str, chosen: Mapping[str, str], write: Callable[[str], str]) -> str:
    """Return the text with a value in the place of each placeholder."""
    return PLACEHOLDER.sub(lambda at: write(chosen[at[1]]) if at[1] in chosen else at[0], text)


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
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict, hash=False)
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: str = ""

    def filled(self, random: Random, csrf: str) -> tuple[str, dict[str, str], str]:
        """Return path, headers and body with a value in the place of each placeholder."""
        chosen = {name: str(random.choice(values)) for name, values in self.values.items()} | {CSRF: csrf}
        headers = {name: fill(value, chosen, str) for name, value in self.headers.items()}
        write = WRITTEN.get(self.headers.get("Content-Type", ""), str)
        return fill(self.path, chosen, in_url), headers, fill(self.body, chosen, write)

    @property
    def first_path(self) -> str:
        """Return the path without its query, with the first of the values in the place of placeholders."""
        chosen = {name: str(values[0]) for name, values in self.values.items()} | {CSRF: ""}
        return fill(self.path, chosen, in_url).partition("?")[0]


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
        return [page.first_path for page in self.pages]

    def one(self, random: Random, name: str | None = None) -> OwnPage:
        """Return the page of this name, or else one at random, by weight."""
        if named := [page for page in self.pages if page.name == name]:
            return named[0]
        return random.choices(self.pages, [page.weight for page in self.pages])[0]


def at(content: Any, path: str) -> Any:
    """Return the value at a path as 'items.0.id'. Raises KeyError, IndexError, TypeError, ValueError."""
    for name in path.split("."):
        content = content[int(name)] if isinstance(content, list) else content[name]
    return content


def of_file(content: bytes, name: str) -> Workload:
    """Return the workload that the content of a file pages.toml describes. Raises BadInput."""
    if len(content) > LARGEST_FILE:
        raise BadInput(f"{name} may hold {LARGEST_FILE // 2**20} MB; it is larger")
    return tables.of_file(content, name, parse)


def parse(file: Table) -> Workload:
    """Return the workload that a file describes. Raises BadInput."""
    file.refuse_unknown(FILE_KEYS)
    writes = file.get("writes", bool, default=False)
    setup = tuple(page(table, writes=True) for table in file.tables("setup", MOST_PAGES))
    own = tuple(page(table, writes=writes) for table in file.tables("page", MOST_PAGES))
    if not own:
        raise BadInput("it describes no page: write at least one [[page]] with path and check")
    names = [page.name for page in own]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(f"two pages are called {twice[:80]!r}: give each a name of its own")
    return Workload(own, setup)


def page(described: Table, *, writes: bool) -> OwnPage:
    """Return the page that a table describes. Raises BadInput."""
    name = described.get("name", str, "")
    where = f"{described.where} ({name or described.content.get('path', 'without a path')})"[:120]
    table = Table(described.content, where)
    table.refuse_unknown(PAGE_KEYS)
    path = table.get("path", str)
    if not path.startswith("/") or path.startswith("//") or re.search(r"[\s\x00-\x1f\x7f]", path):
        raise BadInput(f"{where}: path must begin with one / and hold no space; it is {path[:80]!r}")
    method = table.method()
    if method in WRITING and not writes:
        raise BadInput(
            f"{where}: {method} may change what the project stores, thousands of times. If that is meant, write "
            "writes = true at the top of the file."
        )
    headers, body = table.message("form")
    if "form" in table.content:
        form = {name: str(value) for name, value in table.get("form", dict).items()}
        headers, body = {"Content-Type": FORM, **headers}, urlencode(form, safe="{}")
    values = {
        name: values_of(f"{where}: values.{name}", texts) for name, texts in table.get("values", dict, {}).items()
    }
    used = {name for text in (path, body, *headers.values()) for name in PLACEHOLDER.findall(text)}
    if unused := sorted(set(values) - used):
        raise BadInput(f"{where}: values.{unused[0]} is used nowhere: write {{{unused[0]}}} in path, headers or body")
    if missing := sorted(set(PLACEHOLDER.findall(path)) - {*values, CSRF}):
        raise BadInput(f'{where}: {{{missing[0]}}} in path needs values.{missing[0]}, a list or a range as "1-100"')
    return OwnPage(
        name=name or f"{method} {path}",
        method=method,
        path=path,
        check=check(Table(table.get("check", dict, {}), f"{where}: check"), bodiless=method == "HEAD"),
        weight=table.number("weight", 1.0, "a number above 0, at most a million", lambda weight: 0 < weight <= 1e6),
        values=values,
        headers=headers,
        body=body,
    )


def values_of(where: str, described: Any) -> Sequence[Any]:
    """Return what a placeholder may be. Raises BadInput."""
    if isinstance(described, str) and (match := RANGE.fullmatch(described)) and int(match[1]) <= int(match[2]):
        return range(int(match[1]), int(match[2]) + 1)
    texts = described if isinstance(described, list) else []
    if 0 < len(texts) <= MOST_VALUES and all(type(text) in {str, int} for text in texts):
        return tuple(map(str, texts))
    raise BadInput(f'{where} must be a list of texts and whole numbers, or a range as "1-100"')


def check(table: Table, *, bodiless: bool) -> Check:
    """Return the check that a table describes, which must look beyond the status. Raises BadInput."""
    table.refuse_unknown(("status", "contains", "json", "min_bytes"))
    made = Check(
        status=table.whole("status", 200, 100, 599),
        contains=table.get("contains", str, ""),
        json=table.get("json", dict, {}),
        min_bytes=table.whole("min_bytes", 0, 0, 2**40),
    )
    looks = made.contains or made.json or made.min_bytes
    redirects = 300 <= made.status < 400 or made.status == 204  # which have no content to look at
    if not looks and not bodiless and not redirects:
        raise BadInput(
            f"{table.where} must say what a whole answer holds, beside its status: a page whose upstream fails may "
            'answer 200 all the same. Write contains = "…", json = { "path.to.value" = … } or min_bytes = …'
        )
    return made
