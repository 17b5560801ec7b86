"""PAGES: the ways to make a page. strategies.py, variants/, database.py and pitfalls.py fill it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from django.http import HttpRequest
from django.views.decorators.http import require_safe

from services.aggregator.parameters import Page
from services.aggregator.views import View, async_client, page_view

STRATEGY_PATHS, VARIANT_PATHS = "/api/aggregated/", "/api/variants/"
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class PageKind:
    """A way to make a page. `pool`: the setting with the size of what its pages share in a process; empty: nothing.

    `unpredicted`: it makes its calls neither all at once nor one after the other, which is all that the lab predicts.
    """

    url_path: str
    view: View
    pool: str = ""
    unpredicted: bool = False


PAGES: dict[str, PageKind] = {}


def kinds(paths: str) -> dict[str, PageKind]:
    """Return those at STRATEGY_PATHS or at VARIANT_PATHS, by name."""
    return {name: kind for name, kind in PAGES.items() if kind.url_path.startswith(paths)}


def variant_path(name: str) -> str:
    return f"{VARIANT_PATHS}{name.replace('_', '-')}/"


def register(name: str, view: View, url_path: str = "", pool: str = "", *, unpredicted: bool = False) -> None:
    """Register a view, as a variant if no other `url_path` is given."""
    PAGES[name] = PageKind(url_path or variant_path(name), view, pool, unpredicted)


def variant(function: Function, url_path: str = "", pool: str = "", *, unpredicted: bool = False) -> Function:
    """Register a function of the calls, and of the async client if it is async, which returns their results."""
    name = function.__name__
    register(name, require_safe(page_view(name, of_calls(function))), url_path, pool, unpredicted=unpredicted)
    return function


def strategy(path: str, pool: str = "", *, unpredicted: bool = False) -> Callable[[Function], Function]:
    """Register a function like a variant's as a strategy."""
    return partial(variant, url_path=f"{STRATEGY_PATHS}{path}", pool=pool, unpredicted=unpredicted)


def of_calls(function: Callable[..., Any]) -> Callable[[HttpRequest, Page], Any]:
    """Return a function of the request and the page that makes the page's calls."""

    def make(request: HttpRequest, page: Page) -> Any:
        return function(page.calls)

    async def amake(request: HttpRequest, page: Page) -> Any:
        async with async_client(request) as client:
            return await function(page.calls, client)

    return amake if inspect.iscoroutinefunction(function) else make
