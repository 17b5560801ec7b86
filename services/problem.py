"""Errors as HTTP says them: RFC 9457 problem details (application/problem+json)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"


def problem(status: HTTPStatus, detail: str, **members: Any) -> dict[str, Any]:
    """Return the body of an error answer; `members` are RFC 9457's extension members."""
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        **members,
    }
