"""The WSGI deployment's entrypoint."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from services.aggregator.startup import refuse_other_than, settle
from services.telemetry.counting import count_wsgi

refuse_other_than("wsgi")
os.environ["DJANGO_SETTINGS_MODULE"] = "services.aggregator.settings"

application = count_wsgi(get_wsgi_application())

from services.aggregator import models  # noqa: E402  # it needs Django's settings

models.prepare()
settle()
