"""Allowed: how old what an attempt has read may be, by the streams on which it hangs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from extrovert.context.live import LiveContext
from extrovert.turns.attempt import Attempt
from extrovert.turns.declare import Agent

__all__ = ["allowed_us", "said_of", "too_old"]


def allowed_us(context: LiveContext, agent: Agent[Any], attempt: Attempt) -> dict[str, int]:
    """How long ago the sources of what an attempt has read may have been heard: as its agent declares for all of it,
    and as the turn wants of some; the shorter counts."""
    allowed, fresh_us = dict(attempt.turn.fresh_us), agent.fresh_us
    if fresh_us is not None:
        for stream in context.origins.of_reads(attempt.scope.taken):
            allowed[stream] = min(allowed.get(stream, fresh_us), fresh_us)
    return allowed


def too_old(context: LiveContext, allowed: Mapping[str, int], among: Iterable[str] | None = None) -> list[str]:
    """The streams (or those `among` some) whose sources were last heard longer ago than is allowed."""
    state = context.freshness.state
    return sorted(
        stream for stream in (allowed if among is None else among) if not state(stream).token(allowed[stream])
    )


def said_of(context: LiveContext, silent: Mapping[str, int], now_us: int) -> str:
    """In words, for how long the sources have been silent, and how long they may be."""
    told: list[str] = []
    for stream, limit_us in silent.items():
        heard_us = context.freshness.state(stream).heard_us
        was = "was never heard" if heard_us is None else f"was last heard {_seconds(now_us - heard_us)} before"
        told.append(f"stream `{stream}` {was}, and {_seconds(limit_us)} are allowed")
    return "what it read was too old: " + "; ".join(told)


def _seconds(span_us: int) -> str:
    return f"{span_us / 1_000_000:g} s"
