"""Threads: to which conversation a message belongs, of which a client sends all that went before instead of a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from extrovert.engine.loop import Engine
from extrovert.engine.saying import answer_to, busy, id_of, name_of
from extrovert.surfaces.http.speaker import Place
from extrovert.turns.chat import Chat
from extrovert.turns.conversation import Earlier, Memory, Message, thread_of

__all__ = ["thread_found"]


def thread_found(
    engine: Engine, chat: Chat[Any], user: str, earlier: Sequence[Earlier], text: str, key: str
) -> Place | None:
    """The conversation of `user` in which exactly `earlier` was said, up to our latest answer; or None.

    With `key`, under which a message may come again, also the one in which `text` has been said under it since. One in
    which somebody waits for an answer is another client's, which has said the same so far.
    """
    thread = ""
    for one in earlier:
        if one.role == "user":
            thread = thread_of(thread, one.text)
    told = next((one.text for one in reversed(earlier) if one.role == "assistant"), "")
    with engine.reading():
        after = chat.talks.by_thread[user, thread_of(thread, text)] if key else ()
        before = chat.talks.by_thread[user, thread] if thread else ()
        again = [row for row in after if answer_to(engine, chat, row.conversation, id_of(row.conversation, key))]
        fits = again or [
            row for row in before if not busy(engine, chat, row.conversation) and _ends_with(chat, row, told)
        ]
    named = (row for row in fits if name_of(user, row.conversation) is not None)
    latest = max(named, key=lambda row: _last(chat, engine, row), default=None)
    return None if latest is None else Place(latest.user, latest.conversation)


def _ends_with(chat: Chat[Any], row: Memory, told: str) -> bool:
    """Whether what the assistant has said since the user last spoke is what a client was told; it may have been told
    more, as of a correction, or not yet have heard what was said unasked."""
    number = row.count
    while (message := _message(chat, row, number)) is not None and message.role == "assistant":
        if message.text.strip() in told:
            return True
        number -= 1
    return number == row.count  # there was no answer


def _last(chat: Chat[Any], engine: Engine, row: Memory) -> Any:
    with engine.reading():
        message = _message(chat, row, row.count)
    return (0, row.conversation) if message is None else (1, message.at)


def _message(chat: Chat[Any], row: Memory, number: int) -> Message | None:
    return chat.talks.messages.get(Message.key(row.conversation, number))
