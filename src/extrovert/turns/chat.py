"""Chats: what wakes a conversation's turns, and what they do around the function that a user has written.

Three agents share it. One wakes on what is said. One wakes when what an open conversation rests on is another than it
was told, and nobody waits for an answer. One folds older messages into the summary. Each commits only if what it read
of the conversation is still so: in this way there is one word at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec

from extrovert.context.expiry import before
from extrovert.context.view import View
from extrovert.core.errors import DeclarationError, TurnError
from extrovert.core.ids import canonical
from extrovert.turns.conversation import Conversations, Earlier, Folding, Full, Memory, Open, Said, Shift, tokens
from extrovert.turns.declare import Agent
from extrovert.turns.talk import Changed, Talk, kept
from extrovert.turns.turn import Turn

__all__ = ["Chat", "ChatFunction", "digest_of", "folded", "fullness", "shifting", "speaking_first", "speaking_to"]

G = TypeVar("G")
ChatFunction = Callable[[Turn, Talk[G]], Coroutine[Any, Any, str | None]]

PATIENCE = timedelta(minutes=2)
"""How long a message that nobody has answered keeps the assistant from speaking first; it may never be answered."""


class Chat(Generic[G]):
    """A chat as declared, by the name of its function. Made by `App.chat`.

    `agent` answers what is said in `talks`, `folds` keeps the summaries. Where it `streams`, words are sent before they
    are committed.
    """

    def __init__(
        self,
        name: str,
        talks: Conversations,
        agent: Agent[Said],
        unasked: Agent[Shift] | None,
        folds: Agent[Full],
        *,
        streams: bool = True,
    ) -> None:
        self.name = name
        self.talks = talks
        self.agent = agent
        self.folds = folds
        self.streams = streams
        self._unasked = unasked
        for one in (agent, folds) if unasked is None else (agent, unasked, folds):
            one.keeps = (talks.messages, talks.memory, talks.known, talks.spoken)

    @property
    def unasked(self) -> Agent[Shift]:
        """The agent that speaks first, because what a conversation rests on has changed."""
        if self._unasked is None:
            raise DeclarationError(f"Chat `{self.name}` never speaks first: it is declared without rests_on=.")
        return self._unasked

    @property
    def speaking(self) -> tuple[str, ...]:
        """The names of the agents whose words the user hears."""
        return (self.agent.name,) if self._unasked is None else (self.agent.name, self._unasked.name)


# ---- speaking


def speaking_to(
    talks: Conversations, rests_on: View[Any, Any] | None, function: ChatFunction[Any]
) -> Callable[[Turn, Said], Coroutine[Any, Any, None]]:
    """The agent function that answers what is said."""

    async def answers(turn: Turn, value: Said) -> None:
        ground = None if rests_on is None else rests_on.get(value.conversation)
        await _speak(turn, Talk(turn, talks, value, ground), function)

    return answers


def speaking_first(
    talks: Conversations, rests_on: View[Any, Any], kind: Any, function: ChatFunction[Any]
) -> Callable[[Turn, Shift], Coroutine[Any, Any, None]]:
    """The agent function that speaks because something has changed; `kind` is the type of what it rests on."""
    decoder = msgspec.json.Decoder(kind)

    async def speaks(turn: Turn, value: Shift) -> None:
        ground = rests_on.get(value.conversation)
        await _speak(turn, Talk(turn, talks, value, ground, Changed(_was(decoder, value.old), ground)), function)

    return speaks


async def _speak(turn: Turn, talk: Talk[Any], function: ChatFunction[Any]) -> None:
    text: Any = await function(turn, talk)
    if text is not None and not isinstance(text, str):
        raise TurnError(
            f"Agent `{turn.agent}` is to return what it says, as text (or None for nothing), not a "
            f"{type(text).__name__}."
        )
    talk.speaks(text or "", canonical(talk.ground).decode())


def _was(decoder: msgspec.json.Decoder[Any], old: str) -> Any:
    try:
        return decoder.decode(old)
    except msgspec.DecodeError:
        return None  # told by an earlier version of the app, in which it was of another type


def shifting(talks: Conversations, rests_on: View[Any, Any]) -> Callable[[Open], Shift | None]:
    """The view of the conversations that rest on something else than the user was told."""

    def shifted(talk: Open) -> Shift | None:
        memory = talks.memory.get(talk.conversation)
        if memory is None or memory.user != talk.user or _awaits_answer(talk, memory):
            return None
        new = canonical(rests_on.get(talk.conversation)).decode()
        return None if new == memory.told else Shift(talk.conversation, talk.user, memory.told, new)

    return shifted


def _awaits_answer(talk: Open, memory: Memory) -> bool:
    return talk.last != memory.last and before(talk.at + PATIENCE)


# ---- folding


def fullness(talks: Conversations) -> Callable[[Memory], Full | None]:
    """The view of the conversations of which more is told word for word than there is room for."""

    def full(memory: Memory) -> Full | None:
        if memory.tokens <= talks.budget:
            return None
        talk = talks.open.get(memory.conversation)
        if talk is not None and _awaits_answer(talk, memory):
            return None  # else the answer would begin anew, for no reason that a user can see
        return Full(memory.conversation, memory.user, memory.folded, memory.count)

    return full


def folded(talks: Conversations, *, asks: bool) -> Callable[[Turn, Full], Coroutine[Any, Any, None]]:
    """The agent function that folds older messages into the summary, down to half of the budget."""

    async def folds(turn: Turn, value: Full) -> None:
        """You keep the memory of a conversation. Sum up the given summary and the messages after it in one text, in at
        most so many letters: what the user wants and has said of themselves, what was agreed, promised or done, and
        what is still open. Leave out what can be looked up. Write nothing else."""
        memory = talks.memory[value.conversation]
        every, stay = kept(talks, memory, memory.tokens), kept(talks, memory, talks.budget // 2)
        older = every[: len(every) - len(stay)]
        letters = talks.summary * 4
        folding = Folding(memory.summary, [Earlier(one.role, one.text) for one in older], letters)
        summary = await turn.ask(folding, output=str) if asks and older else digest_of(folding)
        left = sum(tokens(one.text) for one in stay)
        cut, strange = _cut(summary, letters), bool(turn.tainted)
        turn.put(talks.memory, memory.but(summary=cut, folded=memory.count - len(stay), tokens=left, strange=strange))

    return folds


def digest_of(folding: Folding) -> str:
    """A summary without a model: the beginning of each message, of which the oldest go first."""
    each = max(40, folding.letters // 10)
    lines = [folding.summary] if folding.summary else []
    lines += [f"{one.role}: {_cut(' '.join(one.text.split()), each)}" for one in folding.messages]
    text = "\n".join(lines)
    return text if len(text) <= folding.letters else text[len(text) - folding.letters :].partition("\n")[2]


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 2] + " …"
