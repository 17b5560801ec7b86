from __future__ import annotations

from django.urls import path

from services.aggregator import database
from services.aggregator.strategies import STRATEGIES
from services.aggregator.views import health, page_view

VARIANTS = database.PAGES

urlpatterns = [
    path("healthz", health, {"variants": {name: where for name, (where, _) in VARIANTS.items()}}, name="health"),
    *(
        path(strategy.url_path.removeprefix("/"), page_view(strategy), name=strategy.name)
        for strategy in STRATEGIES.values()
    ),
    *(path(where.removeprefix("/"), view, name=name) for name, (where, view) in VARIANTS.items()),
]

handler404 = "services.aggregator.views.not_found"
handler500 = "services.aggregator.views.server_error"
