"""What both entrypoints do before anything is loaded, and when everything is and no page has been asked for."""

from __future__ import annotations

import gc
import os
from importlib import import_module

import django
from django.conf import settings

from services import env


def set_up(interface: str) -> None:
    """Set Django up. Raises BadEnvironment where another interface is declared than this entrypoint has."""
    if (declared := env.text("INTERFACE")) != interface:
        raise env.BadEnvironment(
            f"environment: INTERFACE must be {interface} for services.aggregator.{interface}; it is {declared[:80]!r}"
        )
    os.environ["DJANGO_SETTINGS_MODULE"] = "services.aggregator.settings"
    django.setup(set_prefix=False)


def settle() -> None:
    """Load what Django would load with the first page, and take it all out of the garbage collector's sight.

    It stays until the end, and a full collection would walk through it again and again, between two pages' calls.
    What pages leave behind is still collected.
    """
    import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()
