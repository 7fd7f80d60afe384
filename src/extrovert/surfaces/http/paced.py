"""Paced: what is heard, for a stream over HTTP: with a sign of life where nothing comes, and an end when the host
stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Generic, TypeVar

import msgspec

__all__ = ["HEADERS", "Paced", "event", "sign_of_life"]

T = TypeVar("T")
PAUSE_S = 15.0
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Paced(Generic[T]):
    """Gives what comes, and None where nothing has come for a while. It begins at once, before it is iterated over, so
    that nothing is missed."""

    def __init__(self, coming: AsyncGenerator[T], stopping: asyncio.Event | None = None) -> None:
        self._coming = coming
        self._stopping = stopping
        self._next = asyncio.create_task(self._take())

    async def __aiter__(self) -> AsyncGenerator[T | None]:
        ends = asyncio.create_task(asyncio.Event().wait() if self._stopping is None else self._stopping.wait())
        try:
            while True:
                await asyncio.wait({self._next, ends}, timeout=PAUSE_S, return_when=asyncio.FIRST_COMPLETED)
                if self._next.done():
                    found = self._next.result()
                    if found is None:
                        return
                    yield found[0]
                    self._next = asyncio.create_task(self._take())
                elif ends.done():
                    return
                else:
                    yield None
        finally:
            ends.cancel()
            self._next.cancel()
            await asyncio.gather(self._next, ends, return_exceptions=True)
            await self._coming.aclose()

    async def _take(self) -> tuple[T] | None:
        try:
            return (await anext(self._coming),)
        except StopAsyncIteration:
            return None


def event(data: object, kind: str = "", number: int | None = None) -> bytes:
    """A server-sent event."""
    head = (f"event: {kind}\n" if kind else "") + (f"id: {number}\n" if number is not None else "")
    return head.encode() + b"data: " + msgspec.json.encode(data) + b"\n\n"


def sign_of_life() -> bytes:
    """A comment among server-sent events, which a client passes over."""
    return b": waiting\n\n"
