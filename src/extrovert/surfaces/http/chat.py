"""A chat by itself: to say something, and to hear all that is said in a conversation, also what nobody asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from secrets import token_hex
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from extrovert.engine.loop import Engine
from extrovert.engine.saying import chat_of, latest, spoken, take
from extrovert.engine.talking import hearing
from extrovert.engine.transcript import Answer, Heard
from extrovert.surfaces.http.paced import HEADERS, Paced, event, sign_of_life
from extrovert.surfaces.http.refusing import Refusal
from extrovert.surfaces.http.site import Site, durably
from extrovert.surfaces.http.speaker import place_of
from extrovert.turns.chat import Chat

__all__ = ["chat_named", "chats"]

MOST_DIGITS = 18
"""What is longer is the number of no message."""


class _Said(msgspec.Struct):
    text: str
    id: str = ""


_said_of = msgspec.json.Decoder(_Said)


async def chats(site: Site) -> Sequence[BaseRoute]:
    """`POST /chat/NAME/CONVERSATION` says something; `GET …/events` tells what is said there, from now on."""
    engine = site.engine
    if not site.declared.chats:
        return ()

    async def say(request: Request) -> Response:
        chat, place = chat_named(engine, request), place_of(request, request.path_params["conversation"])
        try:
            said = _said_of.decode(await request.body())
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refusal(400, "wrong", f'Send JSON such as {{"text": "…", "id": "…"}}: {error}.') from error
        taken = take(
            engine, chat, conversation=place.conversation, user=place.user, text=said.text, id=said.id or token_hex(8)
        )
        return await durably(engine, taken, 202)

    async def events(request: Request) -> Response:
        chat, place = chat_named(engine, request), place_of(request, request.path_params["conversation"])
        since = request.headers.get("last-event-id", "")
        coming = _heard(engine, chat, place.conversation, int(since[:MOST_DIGITS]) if since.isdecimal() else None)
        lines = _lines(Paced(coming, site.stopping))
        return StreamingResponse(lines, headers=HEADERS, media_type="text/event-stream")

    path = "/chat/{name}/{conversation}"
    return [Route(f"{path}/events", events), Route(path, say, methods=["POST"])]


def chat_named(engine: Engine, request: Request) -> Chat[Any]:
    """The chat that the path of a request names."""
    name = request.path_params["name"]
    if name not in {chat.name for chat in engine.declared.chats}:
        known = ", ".join(sorted(chat.name for chat in engine.declared.chats))
        raise Refusal(404, "not_found", f"There is no chat {name!r}. This app has: {known}.")
    return chat_of(engine, name)


async def _heard(engine: Engine, chat: Chat[Any], conversation: str, since: int | None) -> AsyncGenerator[Heard]:
    """What was said after the message of the number `since`, if that is given, and then what is heard."""
    with hearing(engine, chat, conversation) as heard:
        missed = [] if since is None else latest(engine, chat, conversation, since)
        await engine.durable()
        for message in missed:
            if message.role == "assistant" and not message.told:
                yield Answer(spoken(message))
        async for one in heard:
            yield one


async def _lines(coming: Paced[Heard]) -> AsyncGenerator[bytes]:
    yield sign_of_life()
    async for heard in coming:
        if heard is None:
            yield sign_of_life()
        else:
            document = msgspec.to_builtins(heard)
            document.pop("because", None)  # names of rows are the operator's business
            yield event(document, document["type"], heard.said.number if isinstance(heard, Answer) else None)
