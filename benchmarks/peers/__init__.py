"""The same page by other means: what the ASGI target's CPU per page is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def content(server: str, elapsed: float, responses: Sequence[Any]) -> dict[str, Any]:
    return {
        "message": "Hello World!",
        "strategy": "gather",
        "server": server,
        "fan_out": len(responses),
        "elapsed": elapsed,
        "responses": responses,
    }
