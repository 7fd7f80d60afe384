"""Refusing: requests that are not answered as they wish, each told so in one shape of JSON, with what to do."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

__all__ = ["CLOSE", "Refusal", "raw", "refused"]

CLOSE = {"connection": "close"}


class Refusal(Exception):
    """A request is not answered as it wishes. Raised by a route, or by what guards it.

    `code` is for programs, `message` for people: it says what, where and what to do, and holds no secret.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    @property
    def body(self) -> bytes:
        return msgspec.json.encode({"error": {"code": self.code, "message": self.message}})


def refused(refusal: Refusal) -> Response:
    """The answer that says so."""
    return Response(refusal.body, refusal.status, refusal.headers, media_type="application/json")


def raw(refusal: Refusal) -> bytes:
    """The same as it is on the wire, for a client that has not come as far as a request; nothing follows it."""
    head = (
        f"HTTP/1.1 {refusal.status} {refusal.code}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(refusal.body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + refusal.body
