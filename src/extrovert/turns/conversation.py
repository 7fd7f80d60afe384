"""Conversations: what is said, what was answered, and what is remembered of it, as records of streams and tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple

from extrovert.context.index import Index
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.ids import fingerprint
from extrovert.core.record import Record
from extrovert.core.untrusted import Untrusted
from extrovert.turns.prompt import estimated

__all__ = [
    "Conversations",
    "Earlier",
    "Folding",
    "Full",
    "Known",
    "Memory",
    "Message",
    "Open",
    "Role",
    "Said",
    "Shift",
    "Spoken",
    "opened",
    "thread_of",
    "tokens",
    "within",
]

Role = Literal["user", "assistant"]
TOKENS_A_MESSAGE = 4
"""What a message takes beside its text: who says it."""


def tokens(text: str) -> int:
    """About how many tokens a message takes in a prompt."""
    return estimated(text) + TOKENS_A_MESSAGE


def thread_of(before: str, said: str) -> str:
    """What stands for all that a user has said in a conversation, in order: `before`, and then `said`."""
    return fingerprint(before, said)


class Earlier(Record):
    """A message of a conversation that a client has led elsewhere, as the client tells it."""

    role: Role
    text: str


class Said(Record):
    """Somebody says something: `user` is who that is by authentication, never by what the text claims.

    `id` is this message's; the same one counts once. `earlier` is what a client says went before, where we do not know
    the conversation.
    """

    conversation: str
    user: str
    text: str
    id: str
    at: datetime
    earlier: list[Earlier] = []


class Spoken(Record):
    """What the assistant has said, in the message of this `number`: in answer `to` messages, by their ids, or, where
    there are none, unasked. `strange` where it had read text from outside: then this is such text, too."""

    __outside_when__: ClassVar = "strange"

    conversation: str
    user: str
    number: int
    text: Untrusted[str]
    at: datetime
    to: list[str] = []
    strange: bool = False


class Open(Record):
    """A conversation that is open: who has spoken there, when last, and the id of that."""

    conversation: str
    user: str
    at: datetime
    last: str


class Message(Record):
    """A message of a conversation; `id` is its key there, `said` the id under which a user sent it, or those to which
    the assistant answers. One with `told` is an earlier one, as a client has told it; one that is `strange` was written
    by a turn that had read text from outside."""

    __outside_when__: ClassVar = "strange"

    id: Untrusted[str]
    conversation: str
    user: str
    number: int
    role: Role
    text: Untrusted[str]
    at: datetime
    said: list[str] = []
    told: bool = False
    strange: bool = False

    @staticmethod
    def key(conversation: str, number: int) -> str:
        """The key of a message."""
        return f"{conversation}/{number:06}"


class Memory(Record):
    """What is remembered of a conversation: `count` messages, of which those up to the number `folded` are in the
    `summary`, and the others take so many `tokens`.

    `last` is the id of the latest message that has been answered, `thread` stands for all that the user has said, and
    `told` is, as JSON, what the conversation rests on as the assistant has last told of it ("": it has not). It is
    `strange` from where on text from outside was read in the conversation.
    """

    __outside_when__: ClassVar = "strange"

    conversation: str
    user: str
    summary: Untrusted[str] = ""
    count: int = 0
    folded: int = 0
    tokens: int = 0
    last: str = ""
    thread: Untrusted[str] = ""
    told: Untrusted[str] = ""
    strange: bool = False


class Known(Record):
    """What the assistant is to remember of a user, in all of their conversations, oldest first; `strange` where a turn
    has added to it that had read text from outside."""

    __outside_when__: ClassVar = "strange"

    user: str
    facts: Untrusted[list[str]] = []
    strange: bool = False


class Shift(Record):
    """What an open conversation rests on is another now than it was told: both as JSON."""

    conversation: str
    user: str
    old: str
    new: str


class Full(Record):
    """The messages of a conversation take more than its budget: those after the number `folded`, up to `count`."""

    conversation: str
    user: str
    folded: int
    count: int


class Folding(Record):
    """Messages to be folded into the summary of what went before them, which may be of so many `letters`."""

    summary: str
    messages: list[Earlier]
    letters: int


class Conversations(NamedTuple):
    """Conversations as declared: what is said, what the assistant says, and its memory. Made by `App.conversations`.

    `open` has a row for each conversation in which somebody has spoken lately. `budget` is how many tokens of messages
    are told word for word, `summary` how many a summary may take, `most_facts` how many facts are kept of a user.
    """

    name: str
    said: Stream[Said]
    spoken: Stream[Spoken]
    open: Table[str, Open]
    messages: Table[str, Message]
    memory: Table[str, Memory]
    known: Table[str, Known]
    by_thread: Index[tuple[str, str], Memory]
    budget: int
    summary: int
    most_facts: int


def within(messages: Sequence[Earlier], budget: int) -> list[Earlier]:
    """The latest of these messages, as far as they take at most so many tokens."""
    kept, taken = list[Earlier](), 0
    for one in reversed(messages):
        taken += tokens(one.text)
        if taken > budget:
            break
        kept.append(one)
    return kept[::-1]


def opened(row: Open | None, said: Said) -> Open:
    """Somebody has spoken in a conversation, which is that of the first who did."""
    if row is not None and row.user != said.user:
        return row
    return Open(said.conversation, said.user, said.at, said.id)
