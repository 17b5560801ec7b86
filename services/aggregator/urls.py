from __future__ import annotations

from django.urls import path

from services.aggregator import article
from services.aggregator.deployment import health, index
from services.aggregator.pitfalls import OWN_VIEW, own_view
from services.aggregator.variants import STRATEGIES, VARIANTS

urlpatterns = [
    path("", index),
    path("healthz", health),
    *(path(kind.url_path.removeprefix("/"), kind.view) for kind in (*STRATEGIES.values(), *VARIANTS.values())),
    path(OWN_VIEW.removeprefix("/"), own_view),
    *article.urlpatterns,
]

handler404 = "services.aggregator.views.not_found"
handler500 = "services.aggregator.views.server_error"
