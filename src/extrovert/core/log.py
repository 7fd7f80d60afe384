"""The log's entries: the only truth, of which all other state is a fold.

An entry is a row of the log: its offset, the engine time in microseconds, its kind and a JSON body. The bodies are the
structs below. `docs/log.md` describes them for programs that read the file themselves.
"""

from __future__ import annotations

from typing import Any

import msgspec

from extrovert.core.admitted import Admitted, Unanswered
from extrovert.core.asked import AskSent, Lines, Told
from extrovert.core.corrected import Invalidated, RowCorrected
from extrovert.core.heard import Heard
from extrovert.core.record import Record

__all__ = [
    "Admitted",
    "Answered",
    "AskSent",
    "Attempted",
    "Body",
    "Dead",
    "Decided",
    "EffectMoved",
    "EffectStep",
    "Embedded",
    "Emit",
    "Ended",
    "Entry",
    "Events",
    "Failed",
    "GuardNote",
    "Heard",
    "Intent",
    "Invalidated",
    "Lines",
    "Passed",
    "Position",
    "ReadNote",
    "Retried",
    "RowCorrected",
    "Told",
    "Unanswered",
    "UndoIntent",
    "Usage",
    "Wake",
    "Write",
    "is_null",
]


Position = Any
"""How far a source has been read, as JSON that the source itself understands: a count, or what it likes."""


class _Part(Record, omit_defaults=True):
    """A part of a body; what has its default value is left out."""


class Events(_Part, tag="events", tag_field="kind"):
    """A batch of records on one stream; the entry takes one offset per record, in order, and one where there is none.

    `data` holds the records as JSON, null for a tombstone, whose key is then in `keys` (all keys, or none).
    `position` is the source's position after this batch.
    """

    stream: str
    data: list[msgspec.Raw]
    source: str = ""
    position: Position = None
    keys: list[Any] | None = None


class Dead(_Part, tag="dead", tag_field="kind"):
    """A dead letter: something that could not be applied, with its cause.

    `raw` is what came in, as text or, where `encoding` says so, as base64; `line` is its place in what was sent.
    Where a table could not fold an event, `event` is its offset. A wake that failed for good has `agent` and `key`, and
    the (offset, event) pairs that it saw where these are not in the log, since they follow from others.
    """

    stream: str
    cause: str
    raw: str = ""
    encoding: str = "utf-8"
    source: str = ""
    line: int | None = None
    event: int | None = None
    turn: str = ""
    agent: str = ""
    key: Any = None
    events: list[tuple[int, msgspec.Raw]] = []


class Retried(_Part, tag="retried", tag_field="kind"):
    """The dead letter at `letter` was taken up again; for a failed wake, the agent and key are due once more.

    `events` are the (offset, event) pairs that the failed turn had seen, where its agent wakes on a stream.
    """

    letter: int
    agent: str = ""
    key: Any = None
    events: list[tuple[int, msgspec.Raw]] = []


class Passed(_Part, tag="passed", tag_field="kind"):
    """A moment has come that a view, a turn, an operator or a delayed event waited for: `before` of it is over."""


class Wake(_Part):
    """Why a turn runs: `on` names the stream, table or view; `offset` the change that made it due, at `at_us`.

    `events` are the offsets of the events that a turn on a stream sees; `digest` is the fingerprint of the value seen,
    and `saw` the value itself, where the agent's next turn is told it. `hops` decisions, one after the other, have led
    to it since something came from outside; `via` are the agents of the last of them.
    """

    on: str
    offset: int
    at_us: int
    events: list[int] = []
    digest: str = ""
    saw: msgspec.Raw = msgspec.Raw(b"null")
    hops: int = 0
    via: list[str] = []


class Attempted(_Part, tag="attempted", tag_field="kind"):
    """An attempt of a turn that stopped at asks not yet answered.

    `asks` holds what was sent now; an ask in flight that the attempt asked again is in `joined` and not sent twice,
    and one in flight that it no longer asks is `cancelled`. `why` says why the attempt ran: woken, answered, retried
    or changed; `changed` then names the reads that had changed. `saved` counts the asks that a re-run found answered
    or in flight. The first attempt of a turn carries its `wake`.

    `emits` are the events that go out with asks for a reply; they take the offsets after the entry's own, in order.
    With `positions` the turn is guarded from here on: what it asks first has the answer of the first of these places,
    and so on, whatever it asks.

    With `silent` it is held: what it read hangs on these streams, whose sources were last heard longer ago than its
    agent allows, and nothing is asked before they are heard again.
    """

    turn: str
    agent: str
    key: Any
    attempt: int
    why: str
    changed: list[str] = []
    asks: list[AskSent] = []
    joined: list[str] = []
    cancelled: list[str] = []
    refused: list[str] = []
    saved: int = 0
    wake: Wake | None = None
    emits: list[Emit] = []
    positions: list[tuple[str, int]] = []
    silent: list[str] = []


class Usage(_Part):
    """What an answer took: the `model` that gave it, tokens, requests, and its price, where that is known."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 1
    cost_nano_usd: int | None = None


class Answered(_Part, tag="answered", tag_field="kind"):
    """An answer, remembered the moment it arrived."""

    turn: str
    hash: str
    occurrence: int
    answer: msgspec.Raw
    usage: Usage | None = None


class ReadNote(_Part):
    """One read of a decision: what it read and the version that it saw.

    `kind` is row, index, count, range, search, view, table, before or fresh. The version is the offset of the change
    that brought what was seen (0: nothing there), the size for a count, the truth for before and fresh.
    """

    kind: str
    of: str
    at: Any
    version: Any


class Write(_Part):
    """A row written to the table `to` (null: deleted)."""

    to: str
    key: Any
    row: msgspec.Raw


class Emit(_Part):
    """An event emitted to the stream `to`; with `due_us` it is delivered when that moment has passed."""

    to: str
    key: Any
    data: msgspec.Raw
    due_us: int | None = None


class GuardNote(_Part):
    """A condition on live context: the name of the guard, and its arguments."""

    guard: str
    args: msgspec.Raw


class Intent(_Part):
    """An effect that the decision intends: `slot` is its number within the decision, `args` its arguments.

    `guard` must hold when it is performed. Of those with the same effect and `once` key it is performed once; that, and
    the outcome that `undo` (the effect that takes it back) is given, is remembered for `horizon_us` after its end.
    `in_order` makes it a step among the effects of its agent and key; `order` names a line beside that.
    """

    slot: int
    effect: str
    args: msgspec.Raw
    guard: GuardNote | None = None
    once: str = ""
    horizon_us: int = 0
    in_order: bool = True
    order: str = ""
    undo: str = ""


class Decided(_Part, tag="decided", tag_field="kind"):
    """A decision: what a turn read, the offsets of the answers that it used, its writes, emits and intended effects.

    `trail` holds the offsets of the turn's earlier entries: attempts and answers, used or not. One that is `guarded`
    was committed although its answers were given to earlier questions, since what it read went on changing.
    `guards` held when it was committed. The decisions named in `undoes` are undone.
    The rows written take the entry's own offset as their version; emitted events take the offsets after it, in order.
    `age_us` is the age of the context: now minus the time that the sources were last heard or the copy was made.
    `heard` has that for each stream with a source on which its reads hang (null: never heard); those in `silent` were
    older than its agent allows, and its fallback answered.
    `tainted` names the text from outside that it had read, by what was read and the field.
    One that is a `shadow` changed nothing: it says what would have been, and takes no offsets for what it emits.
    """

    turn: str
    agent: str
    key: Any
    wake: Wake
    attempt: int
    why: str
    reads: list[ReadNote]
    changed: list[str] = []
    trail: list[int] = []
    answers: list[int] = []
    writes: list[Write] = []
    emits: list[Emit] = []
    effects: list[Intent] = []
    refused: list[str] = []
    saved: int = 0
    age_us: int = 0
    guarded: bool = False
    guards: list[GuardNote] = []
    undoes: list[str] = []
    heard: dict[str, int | None] = {}
    silent: list[str] = []
    shadow: bool = False
    tainted: list[str] = []

    @property
    def outcome(self) -> str:
        """How its turn ended, in a word."""
        return "shadow" if self.shadow else "decided"


class Ended(_Part, tag="ended", tag_field="kind"):
    """A turn ended without a decision: `outcome` is gone (nothing left to decide), stale (what it read was too old),
    dropped, contended, cycle (agents woke each other without end) or failed."""

    turn: str
    agent: str
    key: Any
    outcome: str
    wake: Wake
    attempt: int
    trail: list[int] = []
    cause: str = ""


class Failed(_Part, tag="failed", tag_field="kind"):
    """An attempt raised; the turn is tried again at `retry_at_us`. The first attempt of a turn carries its `wake`."""

    turn: str
    agent: str
    key: Any
    attempt: int
    cause: str
    retry_at_us: int
    wake: Wake | None = None


class EffectMoved(_Part):
    """One effect's step to `state`: performing, settled, failed, unknown or withdrawn. `key` is `turn/slot`.

    A failed effect with `retry_at_us` is performed again then; one that is unknown is looked up, or performed again
    where that is safe. `of` is the key of the effect with the same `once` key whose outcome this is. `by` is the person
    who said so, and then `error` is why.
    """

    key: str
    state: str
    outcome: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    retry_at_us: int | None = None
    of: str = ""
    by: str = ""


class UndoIntent(_Part):
    """An effect that takes back a settled one: `key` is that one's key and `/undo`."""

    key: str
    effect: str
    args: msgspec.Raw


class EffectStep(_Part, tag="effects", tag_field="kind"):
    """Steps of effects, and the undoing of those that are to be taken back, in that order."""

    moves: list[EffectMoved]
    undos: list[UndoIntent] = []


class Embedded(_Part, tag="embedded", tag_field="kind"):
    """Vectors for the rows at `keys` of what `search` searches, made by the embedder `model`.

    `texts` are the fingerprints of the texts: a vector counts as long as its row has that text. A vector is base64 of
    its parts, scaled to whole numbers from -127 to 127, one a byte; "" where the embedder could make none.
    """

    search: str
    model: str
    keys: list[Any]
    texts: list[str]
    vectors: list[str]


Body = (
    Events
    | Heard
    | Dead
    | Retried
    | Passed
    | Told
    | Attempted
    | Admitted
    | Answered
    | Unanswered
    | Decided
    | Ended
    | Failed
    | EffectStep
    | Embedded
    | Invalidated
)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One row of the log. It covers the offsets `offset … offset + count - 1`.

    `wall_us` is the real time that the engine spent on it, kept beside the body so that bodies are alike in each run.
    `about` is (turn, agent, key) for what the ledger finds by these.
    """

    offset: int
    at_us: int
    kind: str
    count: int
    body: bytes
    wall_us: int = 0
    about: tuple[str, str, str] | None = None


def is_null(raw: msgspec.Raw) -> bool:
    """Whether a raw value is JSON's null. (A `Raw` does not compare with bytes.)"""
    return bytes(raw) == b"null"
