"""Health: whether the engine is alive, and whether it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from extrovert.models.keys import without_keys
from extrovert.surfaces.http.refusing import Refusal
from extrovert.surfaces.http.site import Site, durably

__all__ = ["DURABLE_S", "health"]

DURABLE_S = 1.0
"""How long it may take until what is in the log is on the disk."""


async def health(site: Site) -> Sequence[BaseRoute]:
    """`/health`: it answers. `/ready`: it has recovered, what it takes in becomes durable, and nothing has failed."""

    async def alive(_: Request) -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def ready(_: Request) -> Response:
        failure = site.engine.failure
        if failure is not None:
            what = without_keys(f"{type(failure).__name__}: {failure}")
            raise Refusal(503, "not_ready", f"The engine has failed: {what}. Mend that, and run it again.")
        try:
            async with asyncio.timeout(DURABLE_S):
                return await durably(
                    site.engine,
                    {"status": "ready", "app": site.declared.name, "offset": site.engine.shard.fold.end - 1},
                )
        except TimeoutError:
            message = f"The log has not come to the disk for {DURABLE_S:g} s. Look at its disk, and what else uses it."
            raise Refusal(503, "not_ready", message) from None

    return [Route("/health", alive), Route("/ready", ready)]
