"""The talk as a chat function sees it: who speaks, what was said, what is remembered, and what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple

from typing_extensions import TypeVar

from extrovert.core.errors import TurnError
from extrovert.core.record import Record
from extrovert.turns.conversation import (
    Conversations,
    Known,
    Memory,
    Message,
    Role,
    Said,
    Shift,
    Spoken,
    thread_of,
    tokens,
)
from extrovert.turns.prompt import Prompt, Section
from extrovert.turns.turn import Turn

__all__ = ["Changed", "Talk", "kept"]

G = TypeVar("G", default=None)
ANSWER = "Answer what the user says now, by what is true now."
TELL = "Something has changed since the user was last told of it. Tell the user, as far as they may want to know."
"""The task of a prompt, where a chat gives none."""
MOST_UNFOLDED = 2
"""How many budgets of messages there may be before the oldest are left out, though nothing has folded them yet."""


class Changed(NamedTuple, Generic[G]):
    """What a conversation rests on, as the user was last told of it, and as it is now."""

    old: G | None
    new: G | None


class Talk(Generic[G]):
    """A conversation, within one turn: all that it gives is read from live context, and what is remembered is buffered.

    `user` is who speaks, by authentication. `said` are the texts to be answered, oldest first; there are none where the
    assistant may speak first, because what the conversation rests on has `changed`. `ground` is that as it is now.
    `messages` are the latest ones word for word, `summary` is what went before them, and `facts` are to be remembered
    of the user in all conversations.
    """

    def __init__(
        self,
        turn: Turn,
        talks: Conversations,
        woken_by: Said | Shift,
        ground: G | None = None,
        changed: Changed[G] | None = None,
    ) -> None:
        self.id = woken_by.conversation
        self.ground = ground
        self.changed = changed
        self._turn = turn
        self._talks = talks
        said: list[Said] = turn.events if isinstance(woken_by, Said) else []
        self._memory = talks.memory.get(self.id) or Memory(self.id, said[0].user if said else woken_by.user)
        self.user = self._memory.user
        self._said = [one for one in said if one.user == self.user]
        if said and not self._said:
            raise TurnError(f"Conversation `{self.id}` is of user `{self.user}`: `{said[0].user}` cannot speak in it.")
        known = talks.known.get(self.user)
        self._facts = [] if known is None else list(known.facts)
        self._known = known
        self.said: tuple[str, ...] = tuple(one.text for one in self._said)
        self.summary = self._memory.summary
        self.messages = self._before()

    @property
    def facts(self) -> tuple[str, ...]:
        """What is to be remembered of the user, oldest first."""
        return tuple(self._facts)

    def remember(self, fact: str) -> None:
        """Remembers a fact about the user, for all conversations; beyond the most that are kept, the oldest goes."""
        if fact not in self._facts:
            self._facts = [*self._facts, fact][-self._talks.most_facts :]

    def forget(self, fact: str) -> None:
        """Forgets a fact about the user."""
        self._facts = [one for one in self._facts if one != fact]

    def prompt(self, *true: Record | str | Section | None, facts: Record | None = None, task: str = "") -> Prompt:
        """The conversation as a prompt, with what is `true` now: rows, texts, or sections of their own.

        What stays the same from one message to the next comes first. All of it is fenced as data, also what the user
        says, and what is remembered. `task` is in the place of what is to be done; a policy that answers in a model's
        place is given `facts`.
        """
        return Prompt(task or (ANSWER if self.said else TELL), *self._sections(true), facts=facts)

    # ---- used by the chat

    def speaks(self, text: str, told: str) -> None:
        """The turn commits what was said and what is answered (or said unasked; "" is nothing); `told` is what the
        conversation rests on as JSON."""
        turn, talks, memory = self._turn, self._talks, self._memory
        strange = bool(turn.tainted)
        for said in self._said:
            for one in said.earlier if memory.count == 0 else ():
                memory = self._adds(memory, one.role, one.text, told=True)
            memory = self._adds(memory, "user", said.text, said=[said.id])
            memory = memory.but(last=said.id)
        to = [said.id for said in self._said]
        if text:
            memory = self._adds(memory, "assistant", text, said=to)
        if text or to:
            spoken = Spoken(self.id, self.user, memory.count, text, turn.now(), to, strange)
            turn.emit(talks.spoken, spoken)
        turn.put(talks.memory, memory.but(told=told, strange=strange))
        if self._facts or self._known is not None:
            known = self._known or Known(self.user)
            new = known.facts != self._facts
            turn.put(talks.known, Known(self.user, self._facts, strange if new else known.strange))

    def _adds(self, memory: Memory, role: Role, text: str, *, said: Sequence[str] = (), told: bool = False) -> Memory:
        number = memory.count + 1
        key = Message.key(self.id, number)
        strange = bool(self._turn.tainted)
        row = Message(key, self.id, self.user, number, role, text, self._turn.now(), list(said), told, strange)
        self._turn.put(self._talks.messages, row)
        thread = thread_of(memory.thread, text) if role == "user" else memory.thread
        return memory.but(count=number, tokens=memory.tokens + tokens(text), thread=thread)

    def _before(self) -> tuple[Message, ...]:
        """The messages before what was said now, as many as there is room for."""
        memory = self._memory
        found = kept(self._talks, memory, MOST_UNFOLDED * self._talks.budget)
        if memory.count or not self._said:
            return found
        now = self._turn.now()
        return tuple(
            Message(Message.key(self.id, at), self.id, self.user, at, one.role, one.text, now, told=True)
            for at, one in enumerate(self._said[0].earlier, start=1)
        )

    def _sections(self, true: Sequence[Record | str | Section | None]) -> Iterator[Section]:
        if self._facts:
            yield Section("to be remembered of the user", self.facts)
        if self.summary:
            yield Section("said before, in short", self.summary)
        claimed = [message for message in self.messages if message.told]
        if claimed:
            yield Section("said elsewhere, as the user tells it", claimed, fields=(Message.role, Message.text))
        if heard := [message for message in self.messages if not message.told]:
            yield Section("said last", heard, fields=(Message.role, Message.text))
        now = [one for one in true if one is not None and not isinstance(one, Section)]
        if now:
            yield Section("true now", now if len(now) > 1 else now[0])
        yield from (one for one in true if isinstance(one, Section))
        if self.changed is not None:
            yield Section(
                "changed since the user was told", {"it was": self.changed.old, "it is now": self.changed.new}
            )
        if self.said:
            yield Section("the user says now", self.said)


def kept(talks: Conversations, memory: Memory, budget: int) -> tuple[Message, ...]:
    """The latest messages that are not in the summary, as far as they take at most `budget` tokens; the latest one
    always."""
    found: list[Message] = []
    taken = 0
    for number in range(memory.count, memory.folded, -1):
        message = talks.messages.get(Message.key(memory.conversation, number))
        if message is None:
            break  # it has outlived its time
        taken += tokens(message.text)
        if found and taken > budget:
            break
        found.append(message)
    return tuple(reversed(found))
