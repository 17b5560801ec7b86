from __future__ import annotations

from django.urls import path

from services.aggregator.strategies import STRATEGIES
from services.aggregator.views import health, page_view

urlpatterns = [
    path("healthz", health, name="health"),
    *(
        path(strategy.url_path.removeprefix("/"), page_view(strategy), name=strategy.name)
        for strategy in STRATEGIES.values()
    ),
]

handler404 = "services.aggregator.views.not_found"
handler500 = "services.aggregator.views.server_error"
