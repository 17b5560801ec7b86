"""Pages of slow queries, one after the other: the ORM in a sync view, behind `sync_to_async`, and by its `a…` methods;
and by these methods as if they could go side by side.

All of them reach the database from a thread, because Django's connections belong to one: under WSGI that of the server
for the page, under ASGI one that asgiref starts for the request.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from time import perf_counter
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from services.aggregator.models import slowly
from services.aggregator.parameters import PASSED_ON, Page
from services.aggregator.registry import register_view, url_path
from services.aggregator.strategies import Results, Strategy
from services.aggregator.views import View, problem_response, refusal, requested_page, response
from services.aggregator.work import compute
from services.bounds import HANGING, LATENCY, OutOfBounds
from services.query import BadQuery
from services.telemetry import counters

LONGEST_WHY = 200  # characters of the database's error that are passed on
NO_DATABASE = (
    "this page needs a database: set DATABASE_URL, to sqlite:////tmp/lab.sqlite3 for example; "
    "the services wsgi-database and asgi-database of compose.yaml have one"
)

QUERIES = counters.InFlight("lab_queries", "queries to the database")


class QueryFailed(Exception):
    """A query that did not bring its row: no connection, none free in the pool, or an error of the database."""

    def __init__(self, task: int, error: Error) -> None:
        self.call = f"task_id={task}"
        self.why = f"{type(error).__name__}: {error}"[:LONGEST_WHY]
        super().__init__(f"{self.call}: {self.why}")


@dataclass(frozen=True, slots=True)
class Asked:
    """So many queries, each slow by `latency` seconds."""

    page: Page
    latency: float


def orm_sync(asked: Asked) -> Results:
    return [read(task, asked) for task in range(asked.page.fan_out)]


async def orm_to_async(asked: Asked) -> Results:
    return [await sync_to_async(read)(task, asked) for task in range(asked.page.fan_out)]


async def orm_async(asked: Asked) -> Results:
    return [await aread(task, asked) for task in range(asked.page.fan_out)]


async def orm_gather(asked: Asked) -> Results:
    """Make all queries at once. They take as long as one after the other, because a request has one thread for them."""
    with QUERIES:
        return list(await asyncio.gather(*(aread_uncounted(task, asked) for task in range(asked.page.fan_out))))


def read(task: int, asked: Asked) -> Any:
    """Make one query. Raises QueryFailed."""
    with QUERIES, query(task):
        return answer(slowly(asked.latency, asked.page.nonce).get(task_id=task))


async def aread(task: int, asked: Asked) -> Any:
    """Make one query. Raises QueryFailed."""
    with QUERIES:
        return await aread_uncounted(task, asked)


async def aread_uncounted(task: int, asked: Asked) -> Any:
    """Make one query. Raises QueryFailed."""
    with query(task):
        return answer(await slowly(asked.latency, asked.page.nonce).aget(task_id=task))


@contextmanager
def query(task: int) -> Iterator[None]:
    """Raise QueryFailed, which says which query failed."""
    try:
        yield
    except Error as error:
        raise QueryFailed(task, error) from error


def answer(row: Any) -> dict[str, str]:
    """Return the row as the api answers a call."""
    return {"message": row.message, "task_id": str(row.task_id), **({"page": row.page} if row.page else {})}


def page_view(name: str, path: str, function: Callable[[Asked], Any]) -> View:
    """Return the view that answers with a page whose queries are made by this function."""
    strategy = Strategy(name, path, function)

    def view(request: HttpRequest) -> HttpResponse:
        if not isinstance(asked := read_query(request), Asked):
            return asked
        started = perf_counter()
        compute(asked.page.work)
        try:
            results = function(asked)
        except QueryFailed as failed:
            return bad_gateway(asked.page, failed)
        return response(request, strategy, asked.page, results, perf_counter() - started)

    async def aview(request: HttpRequest) -> HttpResponse:
        if not isinstance(asked := read_query(request), Asked):
            return asked
        started = perf_counter()
        compute(asked.page.work)
        try:
            results = await function(asked)
        except QueryFailed as failed:
            return bad_gateway(asked.page, failed)
        return response(request, strategy, asked.page, results, perf_counter() - started)

    return require_safe(aview if inspect.iscoroutinefunction(function) else view)


def read_query(request: HttpRequest) -> Asked | HttpResponse:
    """Return what is asked for, or why it cannot be had."""
    if not settings.DATABASE_URL:
        return problem_response(HTTPStatus.NOT_IMPLEMENTED, NO_DATABASE)
    try:
        page = requested_page(request)
        refuse_what_a_query_cannot_do(page)
    except (BadQuery, OutOfBounds) as error:
        return refusal(error)
    return Asked(page, page.behaviour.get(LATENCY.name, settings.DEFAULT_LATENCY))


def refuse_what_a_query_cannot_do(page: Page) -> None:
    """Refuse knobs other than the latency, unless they are zero. Raises OutOfBounds."""
    asked = [(PASSED_ON[name], value) for name, value in page.behaviour.items()]
    for bound, value in (*asked, (HANGING, page.hanging)):
        if value and bound is not LATENCY:
            raise OutOfBounds(replace(bound, maximum=0, unit="where a page makes queries"), f"{value:g}")


def bad_gateway(page: Page, failed: QueryFailed) -> HttpResponse:
    return problem_response(
        HTTPStatus.BAD_GATEWAY,
        f"a query of {page.fan_out} failed: {failed}",
        fan_out=page.fan_out,
        failures=[{"call": failed.call, "why": failed.why}],
    )


for function in (orm_sync, orm_to_async, orm_async, orm_gather):
    name = function.__name__
    register_view(name, page_view(name, url_path(name), function), needs_database=True)
