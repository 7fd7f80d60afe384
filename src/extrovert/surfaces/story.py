"""The story of one decision, gathered from the log: what it read, asked, was answered, changed, and what came of it."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from extrovert.core.asked import whole
from extrovert.core.errors import ExtrovertError
from extrovert.core.log import (
    Admitted,
    Answered,
    AskSent,
    Attempted,
    Body,
    Decided,
    EffectMoved,
    EffectStep,
    Embedded,
    Emit,
    Ended,
    Entry,
    Events,
    Failed,
    Heard,
    Intent,
    Invalidated,
    Passed,
    ReadNote,
    Retried,
    Told,
    Wake,
    Write,
)
from extrovert.core.record import Record
from extrovert.core.time import from_us
from extrovert.stores.sqlite import SqliteStore
from extrovert.surfaces.attempts import Attempt, admit, answer, asked, cancel
from extrovert.surfaces.correcting import Corrected, corrected
from extrovert.turns.guards import written
from extrovert.turns.outbox import UNDO

__all__ = ["Act", "Change", "Read", "Step", "Story", "find", "tell"]

VERSIONED = frozenset({"row", "as_of", "index", "range", "search", "view", "table"})
MANY = 1_000
ENDS = frozenset({"settled", "failed", "withdrawn"})

_body: msgspec.json.Decoder[Body] = msgspec.json.Decoder(Body)
_told = msgspec.json.Decoder(Told)


class Change(Record):
    """What brought a version: the entry at `offset`, told in words, and the event or row, if it was one."""

    offset: int
    at: datetime
    by: str
    data: msgspec.Raw | None = None


class Read(Record):
    """One read: its kind, what it read and where, the version seen, how old that was at the commit, and its origin."""

    kind: str
    of: str
    at: Any
    version: Any
    age_ms: float | None = None
    change: Change | None = None


class Step(Record):
    """A step of an effect."""

    at: datetime
    state: str
    outcome: msgspec.Raw
    error: str = ""
    retry_at: datetime | None = None
    of: str = ""
    by: str = ""


class Act(Record):
    """An effect with its idempotency key, its arguments, its present state, and the steps that led there.

    `guard` is its condition, `once` its business key, `undo` the effect that takes it back ("": none is declared, and
    what is done stays done). An effect whose key ends in `/undo` takes back the one of the key before that.
    """

    key: str
    effect: str
    args: msgspec.Raw
    state: str
    steps: list[Step]
    guard: str = ""
    once: str = ""
    undo: str = ""


class Story(Record):
    """How a turn ended, and how it came to that. `outcome` is decided, shadow (nothing of what was decided was done),
    gone, stale, dropped, contended, cycle or failed.

    Its wake was due at `due_at`, at once or when the turn `after` had ended, because of a change of what `woken_by`
    names: `wake`, or None where that cannot be told. `took_ms` is from then to the end,
    `context_age_ms` how long ago the sources were last heard, and `heard_ms` that of each stream on which its reads
    hang (None: never). Those in `silent` were older than its agent allows, and its fallback answered. `told` is what
    its models were told beside what they were asked, `tainted` the text from outside that it had read.
    """

    id: str
    agent: str
    key: Any
    outcome: str
    offset: int
    at: datetime
    took_ms: float
    woken_by: str
    due_at: datetime
    wake: Change | None
    after: str
    events: list[Change]
    attempts: list[Attempt]
    attempts_made: int
    cause: str = ""
    context_age_ms: float | None = None
    reads: list[Read] = []
    writes: list[Write] = []
    emits: list[Emit] = []
    effects: list[Act] = []
    guarded: bool = False
    guards: list[str] = []
    undoes: list[str] = []
    heard_ms: dict[str, float | None] = {}
    silent: list[str] = []
    invalidated: list[Corrected] = []
    told: list[Told] = []
    tainted: list[str] = []


def find(store: SqliteStore, name: str) -> Entry:
    """The entry that ended a turn: by the turn's id, by the beginning of one, or by `agent:key`, which is the latest.

    Raises `ExtrovertError` where there is none, or more than one.
    """
    agent, colon, key = name.partition(":")
    found = store.ended(turn=name, limit=1)
    if not found and colon:
        found = store.ended(agent=agent, key=key, limit=1)
    if found:
        return found[0]
    names = store.named(name, limit=6)
    if len(names) == 1:
        return store.ended(turn=names[0], limit=1)[0]
    if names:
        listed = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise ExtrovertError(f"`{name}` begins more than one id: {listed}. Give more of it.")
    raise ExtrovertError(
        f"No decision is called `{name}`. An id is agent:key@offset; agent:key is the latest one. Its turn may "
        f"still be running. To see those that there are: extrovert decisions"
    )


def tell(store: SqliteStore, ended: Entry) -> Story:
    """The story of the turn that this entry ended."""
    return _Teller(store, ended).story()


class _Teller:
    """Gathers one story."""

    def __init__(self, store: SqliteStore, ended: Entry) -> None:
        body = _body.decode(ended.body)
        assert isinstance(body, Decided | Ended)
        self.store = store
        self.ended = ended
        self.body = body
        self._asks: list[AskSent] = []
        self._entry = lru_cache(64)(self._read_entry)

    def story(self) -> Story:
        body, at_us, wake = self.body, self.ended.at_us, self.body.wake
        change, after = self._woken(wake)
        story = Story(
            id=body.turn,
            agent=body.agent,
            key=body.key,
            outcome=body.outcome,
            offset=self.ended.offset,
            at=from_us(at_us),
            took_ms=(at_us - wake.at_us) / 1000,
            woken_by=wake.on,
            due_at=from_us(wake.at_us),
            wake=change,
            after=after,
            events=[change for offset in wake.events if (change := self._change(offset)) is not None],
            attempts=self._attempts(),
            attempts_made=body.attempt,
            told=self._told(),
        )
        if isinstance(body, Ended):
            return story.but(cause=body.cause)
        return story.but(
            context_age_ms=body.age_us / 1000,
            reads=[self._read(note) for note in body.reads],
            writes=body.writes,
            emits=body.emits,
            effects=self._acts(body),
            guarded=body.guarded,
            guards=list(map(written, body.guards)),
            undoes=body.undoes,
            heard_ms={stream: None if us is None else us / 1000 for stream, us in body.heard.items()},
            silent=body.silent,
            tainted=body.tainted,
            invalidated=corrected(self.store, body.turn, self.ended.offset, self._by),
        )

    # ---- entries

    def _read_entry(self, offset: int) -> tuple[Entry, Body] | None:
        entry = self.store.at(offset)
        return None if entry is None else (entry, _body.decode(entry.body))

    def _change(self, offset: int, table: str = "", key: Any = None) -> Change | None:
        """What the entry at `offset` was; of a decision's writes, the row of `table` at `key`."""
        found = self._entry(offset)
        if found is None:
            return None
        entry, body = found
        place = offset - entry.offset
        by, data = _words(body) or entry.kind, None
        if isinstance(body, Events):
            by, data = f"event on `{body.stream}`", body.data[place] if place < len(body.data) else None
        elif isinstance(body, Decided) and place:
            emit = body.emits[place - 1]
            by, data = f"event on `{emit.to}`, emitted by `{body.turn}`", emit.data
        elif isinstance(body, Decided):
            data = next((write.row for write in body.writes if write.to == table and write.key == key), None)
            by = f"decision `{body.turn}`"
        return Change(offset, from_us(entry.at_us), by, data)

    def _by(self, offset: int) -> str:
        return change.by if (change := self._change(offset)) else ""

    def _woken(self, wake: Wake) -> tuple[Change | None, str]:
        """The change that made the wake due, and the turn that had to end before."""
        change = self._change(wake.offset)
        if change is None or change.at == from_us(wake.at_us):
            return change, ""
        for entry in self.store.ended(agent=self.body.agent, key=str(self.body.key), limit=MANY):
            if entry.at_us == wake.at_us and wake.offset < entry.offset < self.ended.offset:
                earlier = _body.decode(entry.body)
                assert isinstance(earlier, Decided | Ended)
                return change, earlier.turn
        return None, ""

    def _read(self, note: ReadNote) -> Read:
        read = Read(note.kind, note.of, note.at, note.version)
        if note.kind not in VERSIONED or not note.version:
            return read
        change = self._change(note.version, note.of, note.at[0] if note.kind == "as_of" else note.at)
        if change is None:
            return read
        return read.but(change=change, age_ms=(from_us(self.ended.at_us) - change.at).total_seconds() * 1000)

    # ---- attempts

    def _attempts(self) -> list[Attempt]:
        body = self.body
        attempts: list[Attempt] = []
        for offset in body.trail:
            found = self._entry(offset)
            if found is not None:
                self._go_on(attempts, *found)
        if isinstance(body, Decided):
            last = Attempt(
                body.attempt,
                from_us(self.ended.at_us),
                body.why,
                changed=body.changed,
                refused=body.refused,
                saved=body.saved,
            )
            attempts.append(last)
        return attempts

    def _go_on(self, attempts: list[Attempt], entry: Entry, body: Body) -> None:
        """Adds one entry of the turn's trail to its attempts."""
        at = from_us(entry.at_us)
        if isinstance(body, Attempted):
            asks = whole(body.asks, self._asks)
            self._asks += asks
            cancel(attempts, body.cancelled)
            attempts.append(
                Attempt(
                    body.attempt,
                    at,
                    body.why,
                    changed=body.changed,
                    asked=[asked(one, at) for one in asks],
                    joined=body.joined,
                    refused=body.refused,
                    saved=body.saved,
                    silent=body.silent,
                )
            )
        elif isinstance(body, Answered):
            used = isinstance(self.body, Decided) and entry.offset in self.body.answers
            answer(attempts, body, at, used)
        elif isinstance(body, Admitted):
            admit(attempts, body, at)
        elif isinstance(body, Failed):
            attempts.append(Attempt(body.attempt, at, "failed", failed=body.cause, retry_at=from_us(body.retry_at_us)))

    def _told(self) -> list[Told]:
        """What its asks refer to, each once, in order."""
        wanted = dict.fromkeys(sent.told for sent in self._asks if sent.told)
        said = [_told.decode(entry.body) for entry in self.store.told()] if wanted else []
        found = {one.told: one for one in said}
        return [found[name] for name in wanted if name in found]

    # ---- effects

    def _acts(self, body: Decided) -> list[Act]:
        """The effects, and the undos of some, with their steps, as far as the log goes.

        An effect that has settled may be undone much later, where it can be; else the search ends with the last end.
        """
        acts = [_intended(body.turn, intent) for intent in body.effects]
        if body.shadow:
            return [act.but(state="shadowed") for act in acts]
        found = {act.key: act for act in acts}
        open_ones = {act.key for act in acts}
        wanted = b'"key":' + msgspec.json.encode(f"{body.turn}/")[:-1]
        for entry in self.store.steps(wanted, self.ended.offset) if acts else ():
            step = _body.decode(entry.body)
            assert isinstance(step, EffectStep)
            for move in step.moves:
                if move.key in found:
                    act = found[move.key] = _moved(found[move.key], move, from_us(entry.at_us))
                    if move.state in ENDS and move.retry_at_us is None and not (act.undo and move.state == "settled"):
                        open_ones.discard(move.key)
            for undo in step.undos:
                if undo.key.removesuffix(UNDO) in found:
                    found[undo.key] = Act(undo.key, undo.effect, undo.args, "intended", [])
                    open_ones.discard(undo.key.removesuffix(UNDO))
                    open_ones.add(undo.key)
            if not open_ones:
                break
        return list(found.values())


def _words(body: Body) -> str:
    """What an entry was that brings neither an event nor a row of its own."""
    match body:
        case Retried():
            return f"dead letter {body.letter}, taken up again"
        case Embedded():
            return f"vectors for search `{body.search}`"
        case Invalidated():
            return f"decision `{body.turn}` was invalidated"
        case EffectStep():
            return f"steps of effects: {', '.join(f'{move.key} {move.state}' for move in body.moves)}"
        case Passed():
            return "the passing of time"
        case Heard():
            return f"a sign of life of the source of {', '.join(body.heard)}"
        case _:
            return ""


def _intended(turn: str, intent: Intent) -> Act:
    guard = "" if intent.guard is None else written(intent.guard)
    key = f"{turn}/{intent.slot}"
    return Act(key, intent.effect, intent.args, "intended", [], guard=guard, once=intent.once, undo=intent.undo)


def _moved(act: Act, move: EffectMoved, at: datetime) -> Act:
    retry_at = None if move.retry_at_us is None else from_us(move.retry_at_us)
    step = Step(at, move.state, move.outcome, move.error, retry_at, of=move.of, by=move.by)
    return act.but(state=move.state, steps=[*act.steps, step])
