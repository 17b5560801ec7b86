"""The WSGI deployment's entrypoint."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "services.aggregator.settings"

application = get_wsgi_application()

from services.aggregator import models  # noqa: E402  # needs Django's settings

models.prepare()
