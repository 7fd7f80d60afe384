"""The turn as an agent function sees it: what it may ask, and what it may change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

import msgspec
from typing_extensions import TypeForm

from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.errors import TurnError
from extrovert.core.ids import canonical, chance
from extrovert.core.record import Record
from extrovert.core.time import from_us, to_us
from extrovert.core.zones import without_zone
from extrovert.turns.declare import Agent, Effect
from extrovert.turns.request import Answer, Refusal, Request
from extrovert.turns.scope import TurnScope

__all__ = ["Turn"]

T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R", bound=Record)
P = ParamSpec("P")
Place = tuple[str, int]


class Turn:
    """One run of an agent. Between two asks it is plain Python over live context; all that it changes is buffered
    until it commits.

    `events` are the events that woke a turn on a stream, oldest first. `id` names the turn, and later its decision.
    """

    def __init__(
        self,
        identity: str,
        agent: Agent[Any],
        key: Any,
        scope: TurnScope,
        *,
        events: list[Any],
        started_us: int,
        seed: int,
        answers: Mapping[Place, Answer],
        refusals: Mapping[Place, tuple[Refusal, ...]],
    ) -> None:
        self.id = identity
        self.agent = agent.name
        self.key = key
        self.events = events
        self.instructions = agent.instructions
        self.emitted: list[tuple[Stream[Any], Any, int | None]] = []
        self.intended: list[tuple[str, bytes]] = []
        self.used: list[Answer] = []
        self.last_place: Place | None = None
        self._agent = agent
        self._scope = scope
        self._now_us = started_us
        self._seed = seed
        self._draws = 0
        self._answers = answers
        self._refusals = refusals
        self._occurrences: dict[str, int] = {}

    # ---- asking

    async def ask(self, about: Record | str, *, output: TypeForm[T]) -> T:
        """The answer of the agent's model or policy about `about` (facts as a record, or a prompt), as an `output`.

        It is remembered: asked again in the same turn, the same question finds the same answer.
        """
        return await _Asking(self, Request("ask", self._agent.model, about, output))

    async def call(self, function: Callable[..., Awaitable[T]], *arguments: Any, output: TypeForm[T]) -> T:
        """The result of an outside read, `await function(*arguments)`, remembered like an answer.

        Arguments and result must be values that JSON can hold.
        """
        name = f"{function.__module__}.{function.__qualname__}"
        return await _Asking(self, Request("call", name, list(arguments), output, function=function))

    def now(self) -> datetime:
        """The engine's time, the same until an ask is answered. To act on the time of day, use `before(t)`."""
        return from_us(self._now_us)

    def chance(self) -> float:
        """A number between 0 and 1, drawn for this turn: the same in each of its attempts."""
        self._draws += 1
        return chance(self._seed, self.id, self._draws)

    # ---- changing

    def put(self, table: Table[K, R], row: R) -> None:
        """Writes a row when the turn commits; the turn itself reads it back at once."""
        self._check(f"table `{table.name}`", row, table.record)
        key = getattr(row, table.key)
        self._may_write(table, key, row)
        self._scope.writes.setdefault(table.name, {})[key] = row

    def delete(self, table: Table[K, Any], key: K) -> None:
        """Deletes the row at `key` when the turn commits."""
        self._may_write(table, key, None)
        self._scope.writes.setdefault(table.name, {})[key] = None

    def emit(self, stream: Stream[T], event: T, *, at: datetime | None = None) -> None:
        """Appends an event to a stream when the turn commits, or, if that is later, at the moment `at`."""
        if stream.made_by:
            raise TurnError(
                f"Agent `{self.agent}` emitted to stream `{stream.name}`, whose events are made by {stream.made_by}."
            )
        self._check(f"stream `{stream.name}`", event, stream.event)
        try:
            due_us = None if at is None else to_us(at)
        except ValueError as error:
            raise TurnError(f"Agent `{self.agent}` emitted to stream `{stream.name}` with at=: {error}.") from error
        self.emitted.append((stream, event, due_us))

    def effect(self, effect: Effect[P], *arguments: P.args, **named: P.kwargs) -> None:
        """Intends an effect: performed once the decision is durable. Its arguments are kept in the ledger."""
        if named:
            raise TurnError(f"Effect `{effect.name}` was given named arguments; give them in order.")
        self.intended.append((effect.name, canonical(list(arguments))))

    def _check(self, to: str, record: Any, wanted: Any) -> None:
        """A record is kept as JSON: one that would not come back the same type is an error here, not in the log."""
        try:
            if not isinstance(record, wanted):
                raise TypeError(f"it is a {type(record).__name__}")
            msgspec.json.decode(canonical(record), type=wanted)
            wrong = without_zone(record, wanted)
            if wrong:
                raise ValueError(wrong)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
            raise TurnError(f"Agent `{self.agent}` gave {to} a record that it cannot hold: {error}.") from error

    def _may_write(self, table: Table[Any, Any], key: Any, row: Any) -> None:
        """One field has one writer: the source's are not a turn's to change. One row has one shard."""
        if self._scope.border is not None and (written := row or self._scope.row(table.name, key)) is not None:
            self._scope.border.writes(table, written)
        if not table.fed:
            return
        if table.made_by:
            raise TurnError(
                f"Agent `{self.agent}` wrote to table `{table.name}`, whose rows are made by {table.made_by}. Write "
                f"what they are made of."
            )
        if not table.turns_own:
            raise TurnError(
                f"Agent `{self.agent}` wrote to table `{table.name}`, which its source writes. Keep what turns decide "
                f"in a table of its own, or declare the fields that turns own: turns_own=(...)."
            )
        present = self._scope.row(table.name, key)
        if row is None or present is None:
            raise TurnError(
                f"Agent `{self.agent}` {'deleted' if row is None else 'added'} row `{key}` of table `{table.name}`; "
                f"its source decides which rows there are."
            )
        wrong = [
            n for n in row.__struct_fields__ if n not in table.turns_own and getattr(row, n) != getattr(present, n)
        ]
        if wrong:
            raise TurnError(
                f"Agent `{self.agent}` changed {', '.join(wrong)} of row `{key}` of table `{table.name}`; "
                f"turns own only {', '.join(sorted(table.turns_own))}."
            )

    # ---- used by the engine

    def place(self, request: Request) -> Place:
        """Where the answer to `request` is remembered: its hash and which occurrence in this attempt it is."""
        occurrence = self._occurrences.get(request.hash, 0)
        self._occurrences[request.hash] = occurrence + 1
        return request.hash, occurrence

    def find(self, request: Request) -> tuple[Request, Place, Answer | None]:
        """The request as it is to be sent (with refusals), its place, and its answer if there is one."""
        base = self.place(request)
        refusals = self._refusals.get(base)
        self.last_place = base
        if refusals:
            request = request.refused(refusals)
            place = self.place(request)
        else:
            place = base
        answer = self._answers.get(place)
        if answer is not None:
            self.used.append(answer)
            self._now_us = max(self._now_us, answer.at_us)
        return request, place, answer


class _Asking:
    """What a turn awaits: hands the request to the engine, and is resumed with the answer's JSON."""

    __slots__ = ("request", "turn")

    def __init__(self, turn: Turn, request: Request) -> None:
        self.turn = turn
        self.request = request

    def __await__(self) -> Generator[_Asking, msgspec.Raw, Any]:
        answer = yield self
        return self.request.decode(answer)
