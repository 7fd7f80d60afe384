"""Overhearing: the part of the control protocol by which a command talks with a running engine, and listens to it.

To listen takes a connection of its own: once it has begun, lines come as they are heard, until the command hangs up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from extrovert.core.record import Record
from extrovert.engine.loop import Engine
from extrovert.engine.saying import chat_of, key_of, latest, take
from extrovert.engine.talking import hearing
from extrovert.engine.transcript import Heard
from extrovert.turns.conversation import Message

__all__ = ["Listen", "Listening", "Overheard", "SaidAs", "Say", "overheard", "taken_in"]

SHOWN = 10
"""How many earlier messages a command is told when it begins to listen."""


class Say(Record, tag="say"):
    """A user says something in a conversation, as the command calls it; of a chat ("": of the only one)."""

    chat: str
    conversation: str
    user: str
    text: str
    id: str


class SaidAs(Record, tag="said_as"):
    """What was said has been taken in, under this id."""

    id: str


class Listen(Record, tag="listen"):
    """What is said in this conversation of a user, from now on?"""

    chat: str
    conversation: str
    user: str


class Listening(Record, tag="listening"):
    """From now on everything is told: of which chat, and what was said last."""

    chat: str
    messages: list[Message]


class Overheard(Record, tag="overheard"):
    """Something was heard."""

    heard: Heard


def taken_in(engine: Engine, request: Say) -> SaidAs:
    """Takes in what is said. Raises `InputError` for what cannot be."""
    chat, key = chat_of(engine, request.chat), key_of(request.user, request.conversation)
    taken = take(engine, chat, conversation=key, user=request.user, text=request.text, id=request.id)
    return SaidAs(taken.id)


async def overheard(
    engine: Engine, request: Listen, hangs_up: asyncio.Future[bytes]
) -> AsyncGenerator[Listening | Overheard]:
    """What is heard, until whoever listens `hangs_up`. Raises `DeclarationError` where there is no such chat."""
    chat, key = chat_of(engine, request.chat), key_of(request.user, request.conversation)
    with hearing(engine, chat, key) as heard:
        hangs_up.add_done_callback(lambda _: heard.end())
        before = latest(engine, chat, key)[-SHOWN:]
        await engine.durable()
        yield Listening(chat.name, before)
        async for one in heard:
            yield Overheard(one)
