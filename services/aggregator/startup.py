"""What both entrypoints do when everything is loaded and no page has been asked for."""

from __future__ import annotations

import gc
from importlib import import_module

from django.conf import settings

from services import env


def settle(interface: str) -> None:
    """Load what Django would load with the first page, and take it all out of the garbage collector's sight.

    It stays until the end, and a full collection would walk through it again and again, between two pages' calls.
    What pages leave behind is still collected. Raises BadEnvironment where another interface is declared.
    """
    if interface != settings.INTERFACE:
        raise env.BadEnvironment(
            f"environment: INTERFACE must be {interface} for services.aggregator.{interface}; it is "
            f"{settings.INTERFACE!r}"
        )
    import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()
