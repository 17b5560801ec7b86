"""What the calls of a page come to."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from services.aggregator.parameters import Call

Results = list[Any]  # in task order: the api's answer to each call that was made, or what is in its place


@dataclass(frozen=True, slots=True)
class Missing:
    """In the place of a result that the page did not wait for."""

    call: Call


class PageFailed(Exception):
    """The page failed although no call did: the status to answer with, why, and the problem's other members."""

    def __init__(self, status: HTTPStatus, why: str, **members: Any) -> None:
        self.status = status
        self.members = members
        super().__init__(why)
