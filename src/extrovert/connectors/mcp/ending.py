"""Noting that the other side of a connection has gone, also while nobody asks it anything: what is then asked has
certainly not been done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.client import Transport

__all__ = ["noting_its_end"]


@asynccontextmanager
async def noting_its_end(transport: Transport, ended: asyncio.Event) -> AsyncGenerator[tuple[Any, Any]]:
    """The transport as it is; `ended` is set when nothing more can come from it."""
    import anyio

    async def forward(read: Any, sender: Any) -> None:
        async with sender:
            try:
                async for message in read:
                    await sender.send(message)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # nobody listens any more
            finally:
                ended.set()

    async with transport as (read, write), anyio.create_task_group() as tasks:
        sender, receiver = anyio.create_memory_object_stream[Any](0)
        tasks.start_soon(forward, read, sender)
        async with receiver:
            yield receiver, write
        tasks.cancel_scope.cancel()
