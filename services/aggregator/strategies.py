"""STRATEGIES: how a page makes its calls, a function each. A new one is one more function here.

A strategy takes the calls and returns, in task order, a result for each call it made: the api's
answer, or the CallFailed that came in its place. An `async def` gets the async client as well.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from django.conf import settings

from services.aggregator.parameters import Call
from services.aggregator.upstream import AsyncClient, CallFailed, afetch, fetch

PAGES = "/api/aggregated/"

Results = list[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to make a page's calls, and the path at which a page is made so."""

    name: str
    url_path: str
    function: Callable[..., Any]

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)


class PageFailed(Exception):
    """No call is to blame that there is no page: the status to answer with, and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        self.status = status
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Missing:
    """In the place of a result that the page did not wait for."""

    call: Call


STRATEGIES: dict[str, Strategy] = {}


def strategy(path: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        name = function.__name__
        STRATEGIES[name] = Strategy(name, f"{PAGES}{path}", function)
        return function

    return register


@strategy(path="sync/")
def sequential(calls: list[Call]) -> Results:
    """Make one call after the other; the first that fails is the last that is made."""
    results: Results = []
    for call in calls:
        results.append(attempt(call))
        if isinstance(results[-1], CallFailed):
            break
    return results


# One pool for the process: threads are started when they are first needed and then kept.
executor = ThreadPoolExecutor(max_workers=settings.THREADPOOL, thread_name_prefix="call")


@strategy(path="threadpool/")
def threadpool(calls: list[Call]) -> Results:
    """Make all calls at once, a thread each."""
    return list(executor.map(attempt, calls))


@strategy(path="")
async def gather(calls: list[Call], client: AsyncClient) -> Results:
    """Make all calls at once, on one event loop."""
    return await asyncio.gather(*(aattempt(client, call) for call in calls))


def attempt(call: Call, url: str | None = None) -> Any:
    try:
        return fetch(call, url)
    except CallFailed as error:
        return error


async def aattempt(client: AsyncClient, call: Call, url: str | None = None) -> Any:
    try:
        return await afetch(client, call, url)
    except CallFailed as error:
        return error
