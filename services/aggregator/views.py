"""HTTP only: which strategy, which status, which JSON. The sync and the async twin say the same."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
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

MESSAGE = "Hello World!"
STEPS = 1000  # of work between two looks at the clock: some 10 µs

View = Callable[[HttpRequest], Any]
Respond = Callable[[HttpRequest, str, Any, Any, float], Any]
Results = list[Any]  # in task order: the api's answer to each call that was made, or what is in its place


@dataclass(frozen=True, slots=True)
class Missing:
    """In the place of a result that the page did not wait for."""

    call: Call


@asynccontextmanager
async def async_client(request: HttpRequest) -> AsyncIterator[AsyncClient]:
    """Return the process's client if its event loop has one, or else one for this page."""
    if client := getattr(request, "scope", {}).get("state", {}).get("client"):
        yield client
    else:
        async with upstream.async_client() as client:
            yield client


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
        return problem_response(bad_gateway(page, failures))
    missing = [result.call.task_id for result in results if isinstance(result, Missing)]
    return json_response(
        {
            "message": MESSAGE,
            "strategy": name,
            "server": target.server(),
            "fan_out": page.fan_out,
            "elapsed": elapsed,
            "responses": [result for result in results if not isinstance(result, Missing)],
            **({"missing": missing} if missing else {}),
        }
    )


def page_view(
    name: str,
    make: Callable[[HttpRequest, Any], Any],
    read: Callable[[HttpRequest], Page] = requested_page,
    respond: Respond = page_response,
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


def bad_gateway(page: Page, failures: list[CallFailed]) -> Problem:
    """Return 504 if all that failed timed out, otherwise 502; each failed call is named, with the reason."""
    late = all(failed.timed_out for failed in failures)
    named = [{"call": failed.call.query, "why": failed.why} for failed in failures]
    return Problem(
        f"{len(failures)} of {page.fan_out} calls to the api failed; the first: {named[0]['call']}: {named[0]['why']}",
        HTTPStatus.GATEWAY_TIMEOUT if late else HTTPStatus.BAD_GATEWAY,
        fan_out=page.fan_out,
        failures=named,
    )


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
