"""The strategy `gather` as a class-based view, for GET and POST."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from services.aggregator.registry import of_calls, register
from services.aggregator.strategies import gather
from services.aggregator.views import page_view

NAME = "gather_class"
answer = page_view(NAME, of_calls(gather))


@method_decorator(csrf_exempt, name="dispatch")  # a page changes nothing that a token could protect
class GatherPage(View):
    async def get(self, request: HttpRequest) -> Any:
        return await answer(request)

    post = get  # the same page, whose parameters are in the query as well


register(NAME, GatherPage.as_view())
