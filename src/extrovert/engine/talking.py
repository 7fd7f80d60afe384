"""Talking: what is heard of a conversation outside, while its turns run: words, corrections, answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from typing import Any

import msgspec

from extrovert.core.log import Answered, Attempted, Decided, Ended, Failed
from extrovert.engine.following import Step
from extrovert.engine.loop import Engine
from extrovert.engine.transcript import Answer, Heard, NoAnswer, Transcript
from extrovert.engine.words import Begun, Cut, Delta, Done, Word
from extrovert.turns.chat import Chat
from extrovert.turns.conversation import Conversations, Spoken

__all__ = ["NONE_BEFORE", "Hearing", "hearing"]

MOST_WAITING = 10_000
"""How much may wait for a listener who is slow before he is given up."""
NONE_BEFORE = "it was said before, and got no answer"

_spoken = msgspec.json.Decoder(Spoken)


class Hearing:
    """What is heard in one conversation, as it comes: words, corrections, answers. Made by `hearing`.

    With `to`, that is only what is about the message of this id, up to its answer.
    """

    def __init__(self, engine: Engine, chat: Chat[Any], conversation: str, to: str = "") -> None:
        self.conversation = conversation
        self.to = to
        self._engine = engine
        self._chat = chat
        self._came: asyncio.Queue[tuple[Heard, bool] | None] = asyncio.Queue()
        self._closed = False
        self._leave: list[Callable[[], None]] = []
        for agent in (chat.agent.name,) if to else chat.speaking:
            self._listen(agent)

    def close(self) -> None:
        """Nothing more is to be heard."""
        self._closed = True
        for leave in self._leave:
            leave()
        self._leave.clear()

    async def __aiter__(self) -> AsyncGenerator[Heard]:
        """Ends where it was closed, with the answer to `to`, or where the listener was too slow."""
        while (came := await self._came.get()) is not None:
            heard, committed = came
            if committed:
                await self._engine.durable()
            yield heard
            if self.to and isinstance(heard, Answer | NoAnswer):
                return

    def end(self) -> None:
        """Whoever listens has heard enough."""
        self.close()
        self._came.put_nowait(None)

    def tell(self, *heard: Heard, committed: bool = False) -> None:
        """Something is to be heard; what is `committed`, when it is durable."""
        for one in heard:
            if self._closed:
                return
            self._came.put_nowait((one, committed))
        if self._came.qsize() > MOST_WAITING:
            self.end()

    def _listen(self, agent: str) -> None:
        ear = _Ear(self, self._chat.talks, unasked=agent != self._chat.agent.name)
        self._leave.append(self._engine.shard.following.follow(agent, self.conversation, ear.step))
        if self._chat.streams:
            self._leave.append(self._engine.words.listen(agent, self.conversation, ear.word))

    @property
    def waits(self) -> bool:
        """Whether the message `to` waits for the turn after this one."""
        book = self._engine.shard.fold.books[self._chat.agent.name]
        return any(said.id == self.to for _, said in book.events.get(self.conversation, ()))


class _Ear:
    """What the turns of one agent say to one listener: of all that is asked at a time, the words of one answer."""

    def __init__(self, hearing: Hearing, talks: Conversations, *, unasked: bool) -> None:
        self._hearing = hearing
        self._stream = talks.spoken.name
        self._unasked = unasked
        self._transcript = Transcript(unasked=unasked)
        self._tokens = [0, 0]
        self._speaks = ""
        self._refused = 0
        self._because: list[str] = []

    def word(self, word: Word) -> None:
        """A model says something, which may yet turn out not to count."""
        if isinstance(word, Begun):
            if not self._speaks and not self._hearing.waits:
                self._speaks = word.ask
                self._transcript.begins()
        elif word.ask == self._speaks:
            match word:
                case Delta():
                    self._hearing.tell(*self._transcript.words(word.text))
                case Cut():
                    self._take_back(self._because)
                case Done():
                    self._speaks = ""

    def step(self, step: Step) -> None:
        """A turn has come so far."""
        if self._hearing.waits:
            return  # it is about an earlier message
        match step:
            case Attempted():
                self._attempted(step)
            case Answered():
                if step.usage is not None:
                    self._tokens[0] += step.usage.input_tokens
                    self._tokens[1] += step.usage.output_tokens
            case Decided():
                self._decided(step)
            case Failed():
                self._take_back([])
            case Ended():
                self._take_back([])
                if not self._unasked:
                    self._hearing.tell(NoAnswer(f"{step.outcome}: {step.cause}" if step.cause else step.outcome))
                self._over()

    def _attempted(self, step: Attempted) -> None:
        """What was said does not hold where the turn asks anew because of what it read, or refuses what was said."""
        self._because = step.changed if step.cancelled else []
        if (step.changed or len(step.refused) > self._refused) and (step.asks or step.cancelled) and not self._speaks:
            self._take_back(step.changed)  # else that is heard when the words are cut off
        self._refused = len(step.refused)

    def _take_back(self, because: list[str]) -> None:
        self._speaks = ""
        self._hearing.tell(*self._transcript.cut(because))

    def _decided(self, step: Decided) -> None:
        tell, transcript, to = self._hearing.tell, self._transcript, self._hearing.to
        said = next((_spoken.decode(emit.data) for emit in step.emits if emit.to == self._stream), None)
        if said is None:
            self._take_back([])  # it has thought better of it
        elif to and to not in said.to:
            tell(NoAnswer(NONE_BEFORE))
        else:
            tell(*transcript.ends(said.text), Answer(said, *self._tokens), committed=True)
        self._over()

    def _over(self) -> None:
        self._tokens, self._speaks, self._refused, self._because = [0, 0], "", 0, []


@contextmanager
def hearing(engine: Engine, chat: Chat[Any], conversation: str, to: str = "") -> Generator[Hearing]:
    """Listens to a conversation during the block: to all of it, or to what is about the message `to`."""
    heard = Hearing(engine, chat, conversation, to)
    try:
        yield heard
    finally:
        heard.close()
