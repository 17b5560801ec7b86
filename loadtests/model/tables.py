"""The tables of a TOML file that a person writes, whose keys are checked as they are read. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from loadtests.errors import BadInput, did_you_mean

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
WRITING = METHODS[3:]
JSON = "application/json"
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
KINDS = {str: "text", bool: "true or false", dict: "a table", list: "a list"}

Described = TypeVar("Described")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a TOML file; `where`: what a sentence calls it. Each method raises BadInput for what may not stand."""

    content: Mapping[str, Any]
    where: str = "the file"

    def refuse_unknown(self, known: Iterable[str]) -> None:
        for name in self.content:
            if name not in known:
                raise BadInput(
                    f"{self.where} may hold {', '.join(known)}; it holds {name[:80]!r}{did_you_mean(name, known)}"
                )

    def refuse_several(self, *keys: str) -> None:
        if len(given := [key for key in keys if key in self.content]) > 1:
            raise BadInput(f"{self.where}: {' and '.join(given)} exclude each other")

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """Return the value of a key, which has this type, and which must be there without a default."""
        value = self.content.get(key, default)
        if value is None:
            raise BadInput(f"{self.where} needs {key}, {KINDS[kind]}")
        if not isinstance(value, kind):
            raise BadInput(f"{self.where}: {key} must be {KINDS[kind]}; it is {value!r:.80}")
        return value

    def number(self, key: str, default: float, allowed: str, fits: Callable[[float], bool]) -> float:
        """Return the number of a key; `allowed`: in words, what `fits`."""
        value = self.content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
            raise BadInput(f"{self.where}: {key} must be {allowed}; it is {value!r:.80}")
        return float(value)

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        allowed = f"a whole number from {least} to {most}"
        return int(self.number(key, default, allowed, lambda value: isinstance(value, int) and least <= value <= most))

    def tables(self, name: str, most: int) -> list[Table]:
        """Return the tables that are written as [[name]], in which a dot stands after what they belong to."""
        key = name.rpartition(".")[2]
        found = self.get(key, list, [])
        if len(found) > most:
            raise BadInput(f"[[{name}]] may stand {most} times; it stands {len(found)} times")
        if not all(isinstance(table, dict) for table in found):
            raise BadInput(f"{key} must be written as [[{name}]], a table for each")
        return [Table(table, f"{key} {number}") for number, table in enumerate(found, 1)]

    def method(self) -> str:
        method: str = self.get("method", str, "GET").upper()
        if method not in METHODS:
            raise BadInput(f"{self.where}: method must be one of {', '.join(METHODS)}; it is {method[:80]!r}")
        return method

    def message(self, other: str) -> tuple[dict[str, str], str]:
        """Return headers and body of a request or an answer. `other`: the key that may stand for `body` and `json`."""
        headers = dict(self.get("headers", dict, {}))
        if wrong := [name for name, value in headers.items() if not is_header(name, value)]:
            raise BadInput(f"{self.where}: headers must be names with texts of one line; one is {wrong[0][:40]!r}")
        self.refuse_several("body", "json", other)
        if "json" not in self.content:
            return headers, self.get("body", str, "")
        try:
            return {"Content-Type": JSON, **headers}, json.dumps(self.content["json"], default=str, allow_nan=False)
        except ValueError as error:
            raise BadInput(f"{self.where}: json must hold what JSON can: {error}") from error


def is_header(name: str, value: Any) -> bool:
    return bool(HEADER.fullmatch(name)) and isinstance(value, str) and not re.search(r"[\r\n\x00]", value)


def of_file(content: bytes, name: str, described: Callable[[Table], Described]) -> Described:
    """Return what a file describes, as `described` reads it. Raises BadInput, which names the file."""
    try:
        return described(Table(tomllib.loads(content.decode())))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{name} is not TOML: {error}") from error
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
