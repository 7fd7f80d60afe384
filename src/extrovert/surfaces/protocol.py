"""The control protocol: what a command asks of a running engine, and what it is answered.

JSON lines over a Unix socket. A command says hello, is told the version and the app, and then asks one request at a
time; each is answered by one line, rows by several that end with `Done`, pages by several that end with `Seen`. What is
told is durable.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from extrovert.core.record import Record
from extrovert.engine.approving import PendingApproval
from extrovert.engine.prompting import WouldAsk
from extrovert.engine.why_not import Because
from extrovert.queries.relations import Relation
from extrovert.surfaces.gauges import Gauges
from extrovert.surfaces.mcp.wire import Compare, Compared, ListPublished, LookedUp, LookUp, Published
from extrovert.surfaces.overhearing import Listen, Listening, Overheard, SaidAs, Say
from extrovert.turns.waits import Approval

__all__ = [
    "VERSION",
    "AgentFreshness",
    "Approvals",
    "Decide",
    "Done",
    "EffectInfo",
    "Effects",
    "Freshness",
    "GetRow",
    "HeldTurn",
    "Hello",
    "Inspect",
    "ListApprovals",
    "ListEffects",
    "ListFreshness",
    "ListRelations",
    "ListRows",
    "ListTables",
    "Page",
    "ReadRelations",
    "Refused",
    "Relations",
    "Reply",
    "Request",
    "Retaken",
    "Retry",
    "RowAt",
    "Rows",
    "Seen",
    "Settle",
    "SettledAs",
    "ShowPrompt",
    "StreamFreshness",
    "TableInfo",
    "Tables",
    "Take",
    "Taken",
    "ViewInfo",
    "Welcome",
    "WhyNot",
    "reply_of",
    "request_of",
]

VERSION = 1


class Hello(Record, tag="hello"):
    """The first line of each connection."""

    version: int = VERSION


class Take(Record, tag="take"):
    """Take in `text`, JSON lines of which the first is line `first_line` of `source`, as records of a stream."""

    stream: str
    text: bytes
    first_line: int = 1
    source: str = ""


class ListTables(Record, tag="tables"):
    """Which tables and views are there?"""


class ListRows(Record, tag="rows"):
    """The rows of a table or view in order of their keys: the first `limit`, or all."""

    table: str
    limit: int | None = None


class GetRow(Record, tag="row"):
    """One row of a table or view; `key` is text, also where the keys are numbers."""

    table: str
    key: str


class ListRelations(Record, tag="relations"):
    """What can a query name, and which columns has it?"""


class ReadRelations(Record, tag="read"):
    """All rows of these tables and views, as they are at one moment."""

    names: list[str]


class Inspect(Record, tag="inspect"):
    """How is the engine doing?"""


class Retry(Record, tag="retry"):
    """Take these dead letters up again: the offsets, or all that have not been."""

    letters: list[int] = []


class ListApprovals(Record, tag="approvals"):
    """What do turns ask of persons?"""


class Decide(Record, tag="decide"):
    """A person's answer to what the turn of this name asks: an id of `Approvals`, a turn, or `agent:key`."""

    name: str
    answer: Approval


class WhyNot(Record, tag="why_not"):
    """Why has an agent no turn about a key? `key` is text, also where the keys are numbers."""

    agent: str
    key: str


class ShowPrompt(Record, tag="prompt"):
    """What would an agent ask about a key now? `key` is text, also where the keys are numbers."""

    agent: str
    key: str


class ListEffects(Record, tag="list_effects"):
    """Which effects are not at their end, or came to a bad one?"""


class ListFreshness(Record, tag="freshness"):
    """When were the sources last heard, and who waits for them?"""


class Settle(Record, tag="settle"):
    """An effect is done (with an outcome), not-done or withdrawn: so says `by`, and why."""

    key: str
    said: Literal["done", "not-done", "withdrawn"]
    by: str
    because: str = ""
    outcome: msgspec.Raw = msgspec.Raw(b"null")


class Welcome(Record, tag="welcome"):
    """The answer to hello: who is there. `app` is where the app is declared, `name` what it calls itself."""

    version: int
    app: str
    name: str
    pid: int


class Taken(Record, tag="taken"):
    """So many records were accepted, and these (line, cause) rejected; all of it is durable.

    `duplicates` had come before.
    """

    accepted: int
    rejected: list[tuple[int, str]] = []
    duplicates: int = 0


class TableInfo(Record):
    """A table: the field that is its key, how many rows, the stream that it folds, and the fields that turns write.

    `written_by` is source, turns, or both, or names the window or view that makes the rows.
    """

    table: str
    key: str
    rows: int
    stream: str
    written_by: str


class ViewInfo(Record):
    """A view: the table that it is over, how many values, and how many keys whose evaluation raised."""

    view: str
    over: str
    values: int
    quarantined: int


class Tables(Record, tag="tables"):
    tables: list[TableInfo]
    views: list[ViewInfo] = []


class RowAt(Record, omit_defaults=True):
    """A row, or a view's value, with its key and its version: the offset that wrote it.

    A key in quarantine has no value (null, version 0), but the `cause`.
    """

    key: Any
    version: int
    row: msgspec.Raw
    cause: str = ""


class Rows(Record, tag="rows"):
    rows: list[RowAt]


class Done(Record, tag="done"):
    """The end of the rows: the table or view has `total` of them, and `quarantined` keys without a value."""

    total: int
    quarantined: int = 0


class Relations(Record, tag="can_be_named"):
    relations: list[Relation]


class Page(Record, tag="page"):
    """Some rows of a relation: their values as a JSON array, and, of a view, their keys as another."""

    of: str
    values: msgspec.Raw
    keys: msgspec.Raw | None = None


class Seen(Record, tag="seen"):
    """The end of the pages: they hold what was true at this offset."""

    offset: int


class Retaken(Record, tag="retaken"):
    """What became of each dead letter: its offset, and why it was rejected again ("" where it was not)."""

    letters: list[tuple[int, str]]


class Approvals(Record, tag="waiting"):
    """What waits for a person; after `Decide`, what was decided."""

    waiting: list[PendingApproval]


class EffectInfo(Record):
    """An effect that waits or came to a bad end.

    `behind` is the key of one that has to come to its end before; `undoes` that of what it takes back; `undo` the
    effect that would take it back ("": it cannot be).
    """

    key: str
    effect: str
    args: msgspec.Raw
    state: str
    since: datetime
    tries: int
    error: str = ""
    retry_at: datetime | None = None
    behind: str = ""
    undoes: str = ""
    undo: str = ""


class Effects(Record, tag="effects"):
    effects: list[EffectInfo]


class StreamFreshness(Record):
    """A stream with a source: when that was last heard (None: never), and how many turns wait to hear of it.

    `sources` are those declared; `followed_by` the tables and views that hang on it.
    """

    stream: str
    sources: list[str]
    followed_by: list[str]
    heard_at: datetime | None
    age_ms: float | None
    held: int


class AgentFreshness(Record):
    """What an agent declares: how old what it reads may be, and what happens else: wait, refuse, or who answers
    instead; and how many of its turns are held."""

    agent: str
    fresh_within_ms: float | None
    stale: str
    held: int


class HeldTurn(Record):
    """A turn that waits until the sources of the `silent` streams are heard; its wake was due at `due_at`."""

    turn: str
    agent: str
    key: Any
    silent: list[str]
    due_at: datetime


class Freshness(Record, tag="heard"):
    at: datetime
    streams: list[StreamFreshness]
    agents: list[AgentFreshness]
    turns: list[HeldTurn]


class SettledAs(Record, tag="settled"):
    """What a person said of an effect is logged."""


class Refused(Record, tag="refused"):
    """The request was not done. `whose` says who must act: `developer` (a declaration, a name), `anyone`, or `wait`."""

    whose: str
    message: str


Request = (
    Hello
    | Take
    | ListTables
    | ListRows
    | GetRow
    | ListRelations
    | ReadRelations
    | Inspect
    | Retry
    | ListApprovals
    | Decide
    | ListEffects
    | ListFreshness
    | Settle
    | WhyNot
    | Say
    | Listen
    | ListPublished
    | LookUp
    | Compare
    | ShowPrompt
)
Reply = (
    Welcome
    | Taken
    | Tables
    | Rows
    | Done
    | Relations
    | Page
    | Seen
    | Gauges
    | Retaken
    | Approvals
    | Effects
    | Freshness
    | SettledAs
    | Because
    | SaidAs
    | Listening
    | Overheard
    | Published
    | LookedUp
    | Compared
    | WouldAsk
    | Refused
)

request_of: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
reply_of: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
