"""The strategy `gather` as a class-based view, for GET and POST."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from services.aggregator.registry import register_view, url_path
from services.aggregator.strategies import Strategy, gather
from services.aggregator.views import apage_response

GATHER = Strategy("gather_class", url_path("gather_class"), gather)


@method_decorator(csrf_exempt, name="dispatch")  # a page changes nothing that a token could protect
class GatherPage(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return await apage_response(request, GATHER)

    async def post(self, request: HttpRequest) -> HttpResponse:
        """Answer with the same page, whose parameters are in the query as well."""
        return await apage_response(request, GATHER)


register_view(GATHER.name, GatherPage.as_view())
