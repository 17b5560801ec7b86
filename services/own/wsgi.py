"""A project of somebody's own under WSGI."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from services.own import project
from services.telemetry.counting import count_wsgi

pages = count_wsgi(project.application("wsgi"))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer the lab's one path here; everything else is the project's."""
    if environ["PATH_INFO"] != project.IDENTITY:
        return pages(environ, start_response)  # type: ignore[no-any-return]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(project.describe(environ["QUERY_STRING"])).encode()]
