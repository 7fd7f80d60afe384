"""The speaker: who says something over HTTP, by authentication, and in which conversation."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request

from extrovert.engine.saying import key_of

__all__ = ["ANYONE", "Place", "place_of", "user_of"]

ANYONE = "anyone"
"""The one user that all are whom the host does not tell apart."""


class Place(NamedTuple):
    """A conversation of a user, by its key."""

    user: str
    conversation: str


def user_of(request: Request) -> str:
    """Who sends a request."""
    return getattr(request.state, "user", None) or ANYONE


def place_of(request: Request, conversation: str) -> Place:
    """The conversation that a user calls so. Raises `DeclarationError` for what is no name."""
    user = user_of(request)
    return Place(user, key_of(user, conversation))
