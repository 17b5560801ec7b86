"""The WSGI deployment's entrypoint."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from services.telemetry.counting import count_wsgi

os.environ["DJANGO_SETTINGS_MODULE"] = "services.aggregator.settings"

application = count_wsgi(get_wsgi_application())

from services.aggregator import models  # noqa: E402  # like the next, it needs Django's settings
from services.aggregator.startup import settle  # noqa: E402

models.prepare()
settle("wsgi")
