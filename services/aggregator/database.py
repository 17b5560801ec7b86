"""Pages of slow queries, one after the other: the ORM in a sync view, behind `sync_to_async`, and by its `a…` methods;
and by these methods as if they could go side by side.

All of them reach the database from a thread, because Django's connections belong to one: under WSGI that of the server
for the page, under ASGI one that asgiref starts for the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error
from django.db.models import QuerySet
from django.http import HttpRequest
from django.views.decorators.http import require_safe

from services.aggregator.models import Row, slowly
from services.aggregator.parameters import Page
from services.aggregator.registry import register
from services.aggregator.views import Results, page_view, requested_page
from services.bounds import HANGING, LATENCY, OF_A_CALL, OutOfBounds
from services.problem import Problem
from services.telemetry import counters, trace

LONGEST_WHY = 200  # characters of the database's error that are passed on
NO_DATABASE = (
    "this page needs a database: set DATABASE_URL, to sqlite:////tmp/lab.sqlite3 for example; "
    "the services wsgi-database and asgi-database of compose/database.yaml have one"
)

QUERIES = counters.InFlight("lab_queries", "queries to the database")


def orm_sync(request: HttpRequest, page: Page) -> Results:
    return [read(task, page) for task in range(page.fan_out)]


async def orm_to_async(request: HttpRequest, page: Page) -> Results:
    return [await sync_to_async(read)(task, page) for task in range(page.fan_out)]


async def orm_async(request: HttpRequest, page: Page) -> Results:
    return [await aread(task, page) for task in range(page.fan_out)]


async def orm_gather(request: HttpRequest, page: Page) -> Results:
    """Make all queries at once. They take as long as one after the other, because a request has one thread for them."""
    with QUERIES:
        return list(await asyncio.gather(*(aread(task, page, nullcontext()) for task in range(page.fan_out))))


@trace.call
def read(task: int, page: Page) -> Any:
    """Make one query. Raises Problem."""
    with QUERIES, query(task, page) as rows:
        return answer(rows.get(task_id=task))


@trace.call
async def aread(task: int, page: Page, counted: AbstractContextManager[object] = QUERIES) -> Any:
    """Make one query. Raises Problem."""
    with counted, query(task, page) as rows:
        return answer(await rows.aget(task_id=task))


@contextmanager
def query(task: int, page: Page) -> Iterator[QuerySet[Row]]:
    """Raise Problem where no row comes: no connection, none free in the pool, or an error of the database."""
    try:
        yield slowly(page.behaviour.get(LATENCY.name, settings.DEFAULT_LATENCY), page.nonce)
    except Error as error:
        failed = {"call": f"task_id={task}", "why": f"{type(error).__name__}: {error}"[:LONGEST_WHY]}
        detail = f"a query of {page.fan_out} failed: {failed['call']}: {failed['why']}"
        raise Problem(detail, HTTPStatus.BAD_GATEWAY, fan_out=page.fan_out, failures=[failed]) from error


def answer(row: Any) -> dict[str, str]:
    """Return the row as the api answers a call."""
    return {"message": row.message, "task_id": str(row.task_id), **({"page": row.page} if row.page else {})}


def read_queries(request: HttpRequest) -> Page:
    """Read a page of queries. Raises Problem, also without a database."""
    if not settings.DATABASE_URL:
        raise Problem(NO_DATABASE, HTTPStatus.NOT_IMPLEMENTED)
    page = requested_page(request)
    asked = [(OF_A_CALL[name], value) for name, value in page.behaviour.items()]
    for bound, value in (*asked, (HANGING, page.hanging)):
        if value and bound is not LATENCY:  # a query can do nothing else
            raise OutOfBounds(replace(bound, maximum=0, unit="where a page makes queries"), f"{value:g}")
    return page


for function in (orm_sync, orm_to_async, orm_async, orm_gather):
    name = function.__name__
    register(name, require_safe(page_view(name, function, read_queries)), pool="DATABASE_POOL")
