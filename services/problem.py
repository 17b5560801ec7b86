"""An error that a client is told of as HTTP says it: RFC 9457 problem details."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

PROBLEM_JSON = "application/problem+json"


class Problem(Exception):
    """Why a client gets no answer; `members` are RFC 9457's extension members."""

    def __init__(self, detail: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST, **members: Any) -> None:
        super().__init__(detail)
        self.status, self.members = status, members

    def body(self) -> dict[str, Any]:
        about = {"type": "about:blank", "title": self.status.phrase, "status": self.status.value, "detail": str(self)}
        return {**about, **self.members}
