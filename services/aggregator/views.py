"""HTTP only: which strategy, which status, which JSON. The sync and the async twin say the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from services.aggregator import identity, upstream
from services.aggregator.parameters import Page, read_page
from services.aggregator.strategies import Results, Strategy
from services.aggregator.upstream import CallFailed, CallTimedOut
from services.bounds import OutOfBounds
from services.problem import CONTENT_TYPE as PROBLEM_JSON
from services.problem import problem
from services.query import BadQuery

View = Callable[[HttpRequest], Any]


def page_view(strategy: Strategy) -> View:
    """The view that answers with a page whose calls are made by this strategy."""

    def view(request: HttpRequest) -> HttpResponse:
        try:
            page = requested_page(request)
        except (BadQuery, OutOfBounds) as error:
            return refusal(error)
        started = perf_counter()
        results = strategy.function(page.calls)
        return response(request, strategy, page, results, perf_counter() - started)

    async def aview(request: HttpRequest) -> HttpResponse:
        try:
            page = requested_page(request)
        except (BadQuery, OutOfBounds) as error:
            return refusal(error)
        started = perf_counter()
        if client := getattr(request, "scope", {}).get("state", {}).get("client"):
            results = await strategy.function(page.calls, client)
        else:
            async with upstream.async_client() as client:
                results = await strategy.function(page.calls, client)
        return response(request, strategy, page, results, perf_counter() - started)

    return require_safe(aview if strategy.is_async else view)


def requested_page(request: HttpRequest) -> Page:
    return read_page(request.META["QUERY_STRING"], settings.DEFAULT_FAN_OUT)


def response(request: HttpRequest, strategy: Strategy, page: Page, results: Results, elapsed: float) -> HttpResponse:
    """The whole page, or the problem: a page that lacks a call is not a page."""
    if failures := [result for result in results if isinstance(result, CallFailed)]:
        return bad_gateway(page, failures)
    return json_response(
        {
            "message": "Hello World!",
            "strategy": strategy.name,
            "server": identity.server(request),
            "fan_out": page.fan_out,
            "elapsed": elapsed,
            "responses": results,
        }
    )


def refusal(error: BadQuery | OutOfBounds) -> HttpResponse:
    return problem_response(HTTPStatus.BAD_REQUEST, str(error), **error.problem)


def bad_gateway(page: Page, failures: list[CallFailed]) -> HttpResponse:
    """504 when all that failed timed out, 502 otherwise; each failed call is named, with the reason."""
    late = all(isinstance(failed, CallTimedOut) for failed in failures)
    return problem_response(
        HTTPStatus.GATEWAY_TIMEOUT if late else HTTPStatus.BAD_GATEWAY,
        f"{len(failures)} of {page.fan_out} calls to the api failed; the first: {failures[0]}",
        fan_out=page.fan_out,
        failures=[{"call": failed.call, "why": failed.why} for failed in failures],
    )


@require_safe
def health(request: HttpRequest, variants: Mapping[str, str]) -> HttpResponse:
    return json_response({"status": "ok", **identity.describe(request), "variants": variants})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(HTTPStatus.NOT_FOUND, "nothing at this path; /api/aggregated/ is a page")


def server_error(request: HttpRequest) -> HttpResponse:
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug in the lab: the page was not made")


def json_response(body: dict[str, Any]) -> HttpResponse:
    """With Content-Length, which Django leaves to a middleware that the lab does without."""
    answer = JsonResponse(body)
    answer["Content-Length"] = str(len(answer.content))
    return answer


def problem_response(status: HTTPStatus, detail: str, **members: Any) -> HttpResponse:
    answer = json_response(problem(status, detail, **members))
    answer.status_code = status.value
    answer["Content-Type"] = PROBLEM_JSON
    return answer
