"""HTTP only: which strategy, which status, which JSON. The sync and the async twin say the same."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from http import HTTPStatus
from time import perf_counter, thread_time
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from services import target
from services.aggregator import upstream
from services.aggregator.parameters import Call, Page, read_page
from services.aggregator.upstream import AsyncClient, CallFailed
from services.problem import PROBLEM_JSON, Problem

STEPS = 1000  # of work between two looks at the clock: some 10 µs

View = Callable[[HttpRequest], Any]
# In task order, for each call that was made: the api's answer, CallFailed, or the call that the page did not wait for.
Results = list[Any]


def async_client(request: HttpRequest) -> AbstractAsyncContextManager[AsyncClient]:
    """Return the process's client if its event loop has one, or else one for this page."""
    client = getattr(request, "scope", {}).get("state", {}).get("client")
    return nullcontext(client) if client else upstream.async_client()


def requested_page(request: HttpRequest) -> Page:
    return read_page(request.META["QUERY_STRING"], settings.DEFAULT_FAN_OUT, settings.DEFAULT_WORK)


def compute(seconds: float) -> None:
    """Take so many CPU seconds of this thread, and hold the GIL: it stops an event loop and slows other threads."""
    if not seconds:
        return
    end = thread_time() + seconds
    while thread_time() < end:
        for _ in range(STEPS):
            pass


def page_response(request: HttpRequest, name: str, page: Page, results: Results, started: float) -> HttpResponse:
    """Return the page, or the problem: a page one of whose calls failed is not a page."""
    elapsed = perf_counter() - started
    if failures := [result for result in results if isinstance(result, CallFailed)]:
        return bad_gateway(page, failures)
    body = heading(name, page)
    body["elapsed"] = elapsed
    body["responses"] = [result for result in results if not isinstance(result, Call)]
    if missing := [result.task_id for result in results if isinstance(result, Call)]:
        body["missing"] = missing
    return json_response(body)


def heading(name: str, page: Page) -> dict[str, Any]:
    """Return what every page begins with."""
    return {"message": "Hello World!", "strategy": name, "server": target.server(), "fan_out": page.fan_out}


def page_view(
    name: str,
    make: Callable[[HttpRequest, Any], Any],
    read: Callable[[HttpRequest], Page] = requested_page,
    respond: Callable[[HttpRequest, str, Page, Any, float], Any] = page_response,
) -> View:
    """Return a view that reads a page from the request, computes, makes its results, and responds with them.

    `make` may be async. `read` and `make` may raise Problem.
    """

    def view(request: HttpRequest) -> Any:
        try:
            page = read(request)
            started = perf_counter()
            compute(page.work)
            results = make(request, page)
        except Problem as problem:
            return problem_response(problem)
        return respond(request, name, page, results, started)

    async def aview(request: HttpRequest) -> Any:
        try:
            page = read(request)
            started = perf_counter()
            compute(page.work)
            results = await make(request, page)
        except Problem as problem:
            return problem_response(problem)
        return respond(request, name, page, results, started)

    return aview if inspect.iscoroutinefunction(make) else view


def bad_gateway(page: Page, failures: list[CallFailed]) -> HttpResponse:
    """Return 504 if all that failed timed out, otherwise 502; each failed call is named, with the reason."""
    late = all(failed.timed_out for failed in failures)
    status = HTTPStatus.GATEWAY_TIMEOUT if late else HTTPStatus.BAD_GATEWAY
    named = [{"call": failed.call.query, "why": failed.why} for failed in failures]
    first = "{call}: {why}".format_map(named[0])
    detail = f"{len(failures)} of {page.fan_out} calls to the api failed; the first: {first}"
    return problem_response(Problem(detail, status, fan_out=page.fan_out, failures=named))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(Problem("nothing at this path; /api/aggregated/ is a page", HTTPStatus.NOT_FOUND))


def server_error(request: HttpRequest) -> HttpResponse:
    return problem_response(Problem("a bug in the lab: the page was not made", HTTPStatus.INTERNAL_SERVER_ERROR))


def json_response(body: dict[str, Any]) -> HttpResponse:
    """Return JSON with Content-Length, which Django leaves to a middleware that the lab does without."""
    content = json.dumps(body).encode()
    return HttpResponse(content, content_type="application/json", headers={"Content-Length": str(len(content))})


def problem_response(problem: Problem) -> HttpResponse:
    answer = json_response(problem.body())
    answer.status_code = problem.status.value
    answer["Content-Type"] = PROBLEM_JSON
    return answer
