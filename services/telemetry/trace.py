"""What is traced of a page that carries a sampled `traceparent`, where TRACE is 1: the page, its calls, their waits.

Where TRACE is 0, everything here returns what it is given, and OpenTelemetry is not imported.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from services import env
from services.telemetry import counters

ON = env.choice("TRACE", ("0", "1")) == "1"
Function = TypeVar("Function", bound=Callable[..., Any])


def unchanged(function: Function) -> Function:
    return function


if ON:
    if not counters.ON:
        raise env.BadEnvironment("environment: TRACE must be 0 where TELEMETRY is off: nobody could read the spans")
    from services.telemetry import spans

    spans.start()

call = spans.call if ON else unchanged
page_wsgi, page_asgi = (spans.page_wsgi, spans.page_asgi) if ON else (unchanged, unchanged)
Executor = spans.Executor if ON else ThreadPoolExecutor
WAITED = [spans.waited_for_connection] if ON else []
