"""Forks: the streams whose events reach one operator by two ways, directly or through streams derived from them."""

from __future__ import annotations

from collections.abc import Iterable

from extrovert.context.operator import DeclaredOperator

__all__ = ["forked"]


def forked(operators: Iterable[DeclaredOperator]) -> frozenset[str]:
    """The streams from which more than one of the streams that some operator follows is made.

    Of these, all that follows from one event is to be delivered before the next event: else the operator would see a
    batch of the one stream, and then what was made of it, in an order that hangs on how the events were batched.
    """
    origins: dict[str, set[str]] = {}
    found: set[str] = set()
    for operator in operators:  # in order of declaration, so after what they follow
        known: set[str] = set()
        for stream in operator.on:
            of_this = origins.get(stream, {stream})
            found |= known & of_this
            known |= of_this
        if operator.makes:
            origins[operator.makes] = {operator.makes, *known}
    return frozenset(found)
