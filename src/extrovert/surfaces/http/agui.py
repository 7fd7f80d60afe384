"""AG-UI: the protocol of front ends that talk with agents, by Pydantic AI's adapter. Each chat is an agent of it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from extrovert.core.errors import MissingExtra
from extrovert.surfaces.http.refusing import Refusal
from extrovert.surfaces.http.site import Site

__all__ = ["agui"]


async def agui(site: Site) -> Sequence[BaseRoute]:
    """`POST /agui/NAME`: a run of the chat of this name. Where the packages for it are not there, it says so."""
    if not site.declared.chats:
        return ()
    if not (find_spec("ag_ui") and find_spec("pydantic_ai")):
        missing = MissingExtra("The protocol AG-UI", "agui")

        async def absent(_: Request) -> Response:
            raise Refusal(501, "not_installed", str(missing))

        return [Route("/agui/{name}", absent, methods=["POST"])]
    from extrovert.surfaces.http.agui_run import run

    async def answer(request: Request) -> Response:
        return await run(site, request)

    return [Route("/agui/{name}", answer, methods=["POST"])]
