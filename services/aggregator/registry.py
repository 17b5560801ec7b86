"""VARIANTS: other ways to make a page than the strategies. variants/ and pitfalls.py fill it."""

from __future__ import annotations

from dataclasses import dataclass

from services.aggregator.strategies import Function, Strategy
from services.aggregator.views import View, page_view

PAGES = "/api/variants/"


@dataclass(frozen=True, slots=True)
class Variant:
    """A page that says `name` as its strategy, made by `view`."""

    name: str
    view: View
    needs_database: bool = False

    @property
    def url_path(self) -> str:
        return url_path(self.name)


VARIANTS: dict[str, Variant] = {}


def url_path(name: str) -> str:
    return f"{PAGES}{name.replace('_', '-')}/"


def variant(function: Function) -> Function:
    """Register a function like a strategy: calls (and the async client) → results."""
    name = function.__name__
    VARIANTS[name] = Variant(name, page_view(Strategy(name, url_path(name), function)))
    return function


def register_view(name: str, view: View, *, needs_database: bool = False) -> None:
    """Register a page that takes more than a function of its calls."""
    VARIANTS[name] = Variant(name, view, needs_database)
