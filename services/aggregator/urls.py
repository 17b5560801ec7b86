from __future__ import annotations

from django.urls import path

from services.aggregator import article
from services.aggregator.health import health
from services.aggregator.index import index
from services.aggregator.pitfalls import OWN_VIEW, own_view
from services.aggregator.variants import STRATEGIES, VARIANTS
from services.aggregator.views import View

pages: dict[str, View] = {
    **{kind.url_path: kind.view for kind in (*STRATEGIES.values(), *VARIANTS.values())},
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
