from __future__ import annotations

from django.urls import path

from services.aggregator import article
from services.aggregator.health import health
from services.aggregator.index import index
from services.aggregator.pitfalls import OWN_VIEW, own_view
from services.aggregator.strategies import STRATEGIES
from services.aggregator.variants import VARIANTS
from services.aggregator.views import View, page_view

pages: dict[str, View] = {
    **{strategy.url_path: page_view(strategy) for strategy in STRATEGIES.values()},
    **{variant.url_path: variant.view for variant in VARIANTS.values()},
    OWN_VIEW: own_view,
}

urlpatterns = [
    path("", index),
    path("healthz", health),
    *(path(url_path.removeprefix("/"), view) for url_path, view in pages.items()),
    *article.urlpatterns,
]

handler404 = "services.aggregator.views.not_found"
handler500 = "services.aggregator.views.server_error"
