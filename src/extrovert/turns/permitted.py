"""Permitted: whether a turn that has read text from outside may do what it is about to do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import msgspec

from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.errors import Refuse
from extrovert.core.ids import canonical
from extrovert.core.record import Record
from extrovert.core.untrusted import is_marked, marked, records_in, texts
from extrovert.turns.declare import Agent
from extrovert.turns.intended import Intended
from extrovert.turns.request import Question
from extrovert.turns.tainted import Taint

if TYPE_CHECKING:
    from extrovert.turns.scope import TurnScope
    from extrovert.turns.staged import Staged

__all__ = ["Permitted", "ToApprove"]

MOST_SHOWN = 3
NONE = msgspec.Raw(b"null")


class ToApprove(Record, omit_defaults=True):
    """What a turn that has read text from outside would do, if a person approves of it: effects as (name, arguments),
    rows as (table, row; null where it is deleted), events as (stream, event)."""

    effects: list[tuple[str, msgspec.Raw]] = []
    writes: list[tuple[str, Any, msgspec.Raw]] = []
    emits: list[tuple[str, msgspec.Raw]] = []


class Permitted:
    """What one attempt of an agent may do. Each check raises `Refuse` with a reason, which goes to the model.

    `asks` says that the turn has asked a model. An agent that asks none, and says nothing of `when_tainted`, is plain
    code: nothing that it reads instructs it, and it may do what it does.
    """

    def __init__(self, agent: Agent[Any], taint: Taint, scope: TurnScope, turn: str, key: Any) -> None:
        self.asks = False
        self.taint = taint
        self._agent = agent
        self._scope = scope
        self._turn = turn
        self._key = key

    @property
    def binds(self) -> bool:
        """Whether the turn is bound by what it has read."""
        agent = self._agent
        asks = self.asks or agent.prompted or agent.stale_fallback.prompted
        return (asks or agent.when_tainted is not None) and bool(self.taint.names)

    def answered(self, question: Question) -> None:
        """A question is answered."""
        request = question.request
        if request.kind == "ask" and not request.model.startswith(("policy:", "learner:")):
            self.asks = True
        self.taint.answered(question)

    def effect(self, intended: Intended) -> None:
        """An effect."""
        if self.binds:
            effect, permits = intended.effect, self._agent.when_tainted
            if permits is None or not permits.permits(effect):
                raise self._refused(f"effect `{effect.name}`")
            given = dict(zip(effect.parameters, intended.arguments, strict=False))
            for parameter, field in permits.trusted.get(effect.name, {}).items():
                if parameter not in given or not _among(given[parameter], self.taint.values(field)):
                    raise Refuse(
                        f"effect `{effect.name}` cannot be intended with this `{parameter}`: after {self._read}, it "
                        f"must be the {field[0].__name__}.{field[1]} of what this turn had read before it asked"
                    )

    def put(self, table: Table[Any, Any], key: Any, row: Any) -> None:
        """A row; None deletes it."""
        if self.binds:
            permits = self._agent.when_tainted
            if self._keeps(table):
                pass
            elif permits is None:
                self._as_marked(table, key, row)
            elif not permits.permits(table):
                raise self._refused(f"a write to table `{table.name}`")
            if row is not None:
                self._launders(f"table `{table.name}`", row, table.record)

    def emit(self, stream: Stream[Any], event: Any) -> None:
        """An event, when the turn commits."""
        if self.binds:
            permits = self._agent.when_tainted
            if not self._keeps(stream) and (permits is None or not permits.permits(stream)):
                raise self._refused(f"an event for stream `{stream.name}`")
            self._launders(f"stream `{stream.name}`", event, stream.event)

    def send(self, stream: Stream[Any], event: Any) -> None:
        """An event that leaves at once, as a request."""
        self.emit(stream, event)
        permits = self._agent.when_tainted
        if self.binds and permits is not None and permits.waits(stream):
            raise self._refused(
                f"a request to stream `{stream.name}`, which leaves before anybody could approve of it,"
            )

    def undo(self) -> None:
        """The effects of another decision are taken back."""
        if self.binds and not (self._agent.when_tainted and self._agent.when_tainted.undo):
            raise self._refused("the undoing of a decision")

    def call(self, name: str, arguments: Sequence[Any]) -> None:
        """Something outside is asked. What a model has made up after it was swayed does not leave that way."""
        if self.binds and self.taint.swayed:
            permits = self._agent.when_tainted
            told = (text.value for text in texts(arguments))
            if (permits is None or name not in permits.calls) and not all(map(self._known, told)):
                raise self._refused(f"a call of `{name}` with text that is in no trusted field")

    def check(self, staged: Staged) -> ToApprove | None:
        """All that is staged, when the attempt is at its end; what of it a person is to approve of."""
        if not self.binds:
            return None
        for intended in staged.intended:
            self.effect(intended)
        for table, key, row in staged.written:
            self.put(table, key, row)
        for stream, event, _ in staged.emitted:
            self.emit(stream, event)
        if staged.undone:
            self.undo()
        return self._to_approve(staged)

    # ---- what is wrong

    @property
    def _read(self) -> str:
        names = self.taint.names
        more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
        return f"reading text from outside ({', '.join(names[:MOST_SHOWN])}{more})"

    def _refused(self, what: str) -> Refuse:
        return Refuse(f"{what} is not permitted to agent `{self._agent.name}` after {self._read}")

    def _keeps(self, of: Table[Any, Any] | Stream[Any]) -> bool:
        """Whether it is what the agent remembers, or says to the user of a conversation; such records are marked where
        the turn is tainted."""
        return any(one is of for one in self._agent.keeps)

    def _as_marked(self, table: Table[Any, Any], key: Any, row: Any) -> None:
        """Where nothing is declared, only fields that are marked may be written: others stay what they are."""
        to = f"table `{table.name}`"
        if row is None:
            raise self._refused(f"a deletion from {to}")
        if not marked(table.record):
            raise self._refused(f"a write to {to}, none of whose fields is marked")
        present = self._scope.look(self._scope.context.tables[table.name], key)
        for field in msgspec.structs.fields(table.record):
            value = getattr(row, field.name)
            same = value == (field.default if present is None else getattr(present, field.name))
            new = present is None and isinstance(value, str) and self._known(value)
            if not (same or new or field.name == table.key or is_marked(table.record, field.name)):
                raise self._refused(f"a write to field `{field.name}` of {to}, which is not declared Untrusted,")

    def _launders(self, to: str, record: Any, kind: Any) -> None:
        """Raises where text would come into a field that says nothing of outside, and so lose its mark."""
        for text in texts(record, kind):
            if text.outside or self._known(text.value) or (text.where, text.value) in _defaults(record):
                continue
            raise Refuse(
                f"`{text.where}` of {to} is not declared Untrusted, so after {self._read} it takes no text but what "
                f"stands in trusted fields of what the turn has read"
            )

    def _known(self, text: str | bytes) -> bool:
        """Whether nobody outside can have made up a text."""
        if not text or self.taint.trusts(text) or text == self._agent.name:
            return True
        return text == self._turn and (not isinstance(self._key, str) or self.taint.trusts(self._key))

    # ---- what waits

    def _to_approve(self, staged: Staged) -> ToApprove | None:
        permits = self._agent.when_tainted
        if permits is None:
            return None
        found = ToApprove(
            [(one.effect.name, msgspec.Raw(one.args)) for one in staged.intended if permits.waits(one.effect)],
            [(table.name, key, _raw(row)) for table, key, row in staged.written if permits.waits(table)],
            [(stream.name, _raw(event)) for stream, event, _ in staged.emitted if permits.waits(stream)],
        )
        return found if found.effects or found.writes or found.emits else None


def _among(given: Any, values: Sequence[Any]) -> bool:
    """Whether what is given is one of these values, or a list of nothing but such."""
    if given in values:
        return True
    return isinstance(given, list | tuple) and all(one in values for one in cast("Sequence[Any]", given))


def _raw(record: Any) -> msgspec.Raw:
    return NONE if record is None else msgspec.Raw(canonical(record))


def _defaults(record: Any) -> set[tuple[str, str | bytes]]:
    """The texts that fields of a record, and of those in it, have where nothing is said."""
    return {text for one in records_in(record) for text in _defaults_of(type(one))}


@lru_cache(maxsize=1_024)
def _defaults_of(kind: type[msgspec.Struct]) -> frozenset[tuple[str, str | bytes]]:
    found: set[tuple[str, str | bytes]] = set()
    for field in msgspec.structs.fields(kind):
        made = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if made is not msgspec.NODEFAULT:
            where = f"{kind.__name__}.{field.name}"
            found.update((text.where or where, text.value) for text in texts(made, field.type))
    return frozenset(found)
