"""The WSGI deployment's entrypoint."""

from __future__ import annotations

from django.core.handlers.wsgi import WSGIHandler

from services.aggregator.startup import set_up, settle
from services.telemetry import trace
from services.telemetry.counting import count_wsgi

set_up("wsgi")
application = trace.page_wsgi(count_wsgi(WSGIHandler()))

from services.aggregator import models  # noqa: E402  # it needs Django's settings

models.prepare()
settle()
