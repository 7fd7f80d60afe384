"""Saying: something is said in a conversation from outside, once, and its answer is found again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from extrovert.core.errors import DeclarationError, InputError
from extrovert.core.ids import canonical
from extrovert.core.record import Record
from extrovert.core.time import from_us
from extrovert.engine.loop import Engine
from extrovert.engine.talking import NONE_BEFORE, Hearing, hearing
from extrovert.engine.transcript import Answer, Heard, NoAnswer, Words
from extrovert.turns.chat import Chat
from extrovert.turns.conversation import Earlier, Memory, Message, Said, Spoken, within

__all__ = [
    "Taken",
    "answer_to",
    "busy",
    "chat_of",
    "id_of",
    "key_of",
    "latest",
    "name_of",
    "owner",
    "say",
    "spoken",
    "take",
]

SOURCE = "chat"
LOOKS_BACK = 200
"""Among how many messages the answer to one that comes again is looked for."""
MOST_ID = 200


def chat_of(engine: Engine, name: str) -> Chat[Any]:
    """The chat of this name ("": the only one). Raises `DeclarationError` with those that there are."""
    found = {chat.name: chat for chat in engine.declared.chats}
    if not found:
        raise DeclarationError("This app has no chat. Declare one: @app.chat(app.conversations(…)).")
    if not name and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        known = ", ".join(sorted(found))
        raise DeclarationError(
            f"Which chat? This app has: {known}." if not name else f"There is no chat `{name}`. This app has: {known}."
        )
    return found[name]


def key_of(user: str, conversation: str) -> str:
    """The key of a conversation that a user calls by this name: nobody else's has it."""
    if not 0 < len(conversation) <= MOST_ID or not conversation.isprintable():
        raise DeclarationError(f"A conversation is named by 1 to {MOST_ID} characters that can be printed.")
    return _of(user) + conversation


def name_of(user: str, key: str) -> str | None:
    """How a user calls the conversation that has this key; None for one that was not begun under such a name."""
    return key.removeprefix(_of(user)) if key.startswith(_of(user)) else None


def _of(user: str) -> str:
    """What the keys of a user's conversations begin with, and no other's."""
    return f"{_escaped(user)}/"


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


class Taken(Record):
    """A message has been taken in, under this id; `again` where it had been before."""

    id: str
    again: bool


def take(
    engine: Engine,
    chat: Chat[Any],
    *,
    conversation: str,
    user: str,
    text: str,
    id: str,  # noqa: A002
    earlier: Sequence[Earlier] = (),
) -> Taken:
    """Takes in what is said, once for each `id`; it is durable later. Of what a client says went `earlier` as much is
    kept as the budget of the conversation has room for, where it begins with that.

    Raises `InputError` for what cannot be said, as in a conversation that is another user's.
    """
    stream = chat.talks.said
    if owner(engine, chat, conversation) not in (None, user):
        raise InputError(stream.name, "This conversation is another user's. Begin one under another name.")
    if not text.strip():
        raise InputError(stream.name, "Nothing was said: the text is empty.")
    engine.shard.advance(engine.clock.now_us())
    name = id_of(conversation, id)
    before = within(earlier, chat.talks.budget) if _begins(engine, chat, conversation) else []
    said = Said(conversation, user, text, name, from_us(engine.clock.now_us()), before)
    report = engine.intake.lines(stream.name, canonical(said), source=SOURCE)
    if report.rejected:
        raise InputError(stream.name, f"This cannot be said: {report.rejected[0][1]}")
    engine.nudge()
    return Taken(name, bool(report.duplicates))


async def say(engine: Engine, chat: Chat[Any], taken: Taken, conversation: str) -> AsyncGenerator[Heard]:
    """What is heard of what was `taken` in, from now on, until it is answered; what is answered already is given."""
    with hearing(engine, chat, conversation, to=taken.id) as heard:
        await engine.durable()
        if not _under_way(engine, chat, heard):
            found = answer_to(engine, chat, conversation, taken.id)
            if found is None:
                yield NoAnswer(NONE_BEFORE)
                return
            if found.text:
                yield Words(found.text)
            yield Answer(found)
            return
        async for one in heard:
            yield one


def busy(engine: Engine, chat: Chat[Any], conversation: str) -> bool:
    """Whether somebody waits for an answer there."""
    book = engine.shard.fold.books[chat.agent.name]
    return conversation in book.running or bool(book.events.get(conversation))


def _under_way(engine: Engine, chat: Chat[Any], heard: Hearing) -> bool:
    book = engine.shard.fold.books[chat.agent.name]
    return heard.waits or (
        heard.conversation in book.running and answer_to(engine, chat, heard.conversation, heard.to) is None
    )


def owner(engine: Engine, chat: Chat[Any], conversation: str) -> str | None:
    """Whose conversation it is; None for one that has not begun."""
    with engine.reading():
        found = chat.talks.memory.get(conversation) or chat.talks.open.get(conversation)
    return None if found is None else found.user


def id_of(conversation: str, id: str) -> str:  # noqa: A002
    """The id under which a message is kept that has this one in a conversation; in no other has a message that id."""
    return f"{conversation}/{_escaped(id)}"


def _begins(engine: Engine, chat: Chat[Any], conversation: str) -> bool:
    """Whether nothing has been answered there yet: only then does it matter what a client says went before."""
    with engine.reading():
        return chat.talks.memory.get(conversation) is None


def answer_to(engine: Engine, chat: Chat[Any], conversation: str, id: str) -> Spoken | None:  # noqa: A002
    """The answer to the message of this id, if it is among the latest."""
    answer: Message | None = None
    for message in _backwards(engine, chat, conversation):
        if id in message.said:
            if message.role == "user":
                silent = Spoken(conversation, message.user, message.number, "", message.at, [id])
                return silent if answer is None else spoken(answer)
            answer = message
    return None


def spoken(message: Message) -> Spoken:
    """What the assistant said, as it was told then."""
    return Spoken(message.conversation, message.user, message.number, message.text, message.at, message.said)


def latest(engine: Engine, chat: Chat[Any], conversation: str, after: int = 0) -> list[Message]:
    """The latest messages, and only those after this number, oldest first."""
    return [one for one in reversed(_backwards(engine, chat, conversation)) if one.number > after]


def _backwards(engine: Engine, chat: Chat[Any], conversation: str) -> list[Message]:
    """The latest messages, the newest first."""
    with engine.reading():
        memory = chat.talks.memory.get(conversation) or Memory(conversation, "")
        keys = [Message.key(conversation, at) for at in range(memory.count, max(0, memory.count - LOOKS_BACK), -1)]
        return [one for one in map(chat.talks.messages.get, keys) if one is not None]
