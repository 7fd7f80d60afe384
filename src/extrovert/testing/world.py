"""The world of a user's tests: a whole engine in virtual time, in memory, with answers that the test scripts."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import msgspec

from extrovert.app import App
from extrovert.context.learner import Learner
from extrovert.context.reads import Scope, swap
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.errors import ExtrovertError
from extrovert.core.ids import canonical
from extrovert.core.log import Dead, Decided, Ended, Entry, ReadNote, Retried, is_null
from extrovert.core.record import Record
from extrovert.core.time import span_us, to_us
from extrovert.engine.approving import PendingApproval, decide, pending_approvals
from extrovert.engine.backtest import Backtest, OnMiss
from extrovert.engine.calls import Answerer
from extrovert.engine.candidates import candidate
from extrovert.engine.clock import VirtualClock
from extrovert.engine.comparing import Compared
from extrovert.engine.intake import Report
from extrovert.engine.loop import Engine, Settings
from extrovert.models.remote import RemoteModel
from extrovert.stores.sqlite import SqliteStore
from extrovert.turns.declare import Agent, Effect, Model, Policy
from extrovert.turns.exchange import Result
from extrovert.turns.options import asked_as, of_what
from extrovert.turns.request import Request
from extrovert.turns.waits import Approval

__all__ = ["Decision", "World", "Written"]

START = datetime(2026, 1, 1, tzinfo=UTC)


class Written(Record):
    """A row that a decision wrote: `row` is None where it was deleted."""

    table: str
    key: Any
    row: Any


class Decision(Record):
    """A committed decision, with its rows, events and effects decoded."""

    id: str
    writes: list[Written]
    emits: list[tuple[str, Any]]
    effects: list[tuple[str, list[Any]]]
    reads: list[ReadNote]
    attempts: int
    reruns: int


class _Script:
    """Answers in order; the last one stays. None thinks for a while of engine time."""

    def __init__(self, answers: Sequence[Any], thinks: timedelta) -> None:
        self._answers = list(answers)
        self._thinks_us = span_us(thinks)
        self.asked: list[Any] = []
        self.told: list[list[Result]] = []

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        return self._thinks_us

    def answer(self, request: Request) -> msgspec.Raw:
        self.asked.append(request.about)
        self.told.append(request.exchange[-1].results if request.exchange else [])
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return msgspec.Raw(canonical(answer(request.about) if callable(answer) else answer))


class World:
    """Runs `app` in virtual time on a store in memory. Effects are recorded, not performed.

    Live context can be read directly in the test while the world is open. Use it as `with World(app) as world:`
    (`async with`, where models are really asked, so that their connections are closed), or ask for the fixture `world`,
    which takes the `app` of the test's module.
    """

    def __init__(self, app: App, *, seed: int = 0) -> None:
        self.performed: list[tuple[str, list[Any]]] = []
        self._scripts: dict[str, Answerer] = {}
        self._outcomes: dict[str, list[Any]] = {}
        declared = app.declared()

        def answerers(seed: int) -> dict[str, Answerer]:
            return declared.answerers(seed) | self._scripts

        self.declared = msgspec.structs.replace(
            declared,
            answerers=answerers,
            effects=[self._recording(effect) for effect in declared.effects],
        )
        self._app = app
        self.store = SqliteStore(None)
        self.clock = VirtualClock(to_us(START))
        self.engine = Engine(self.declared, self.store, self.clock, Settings(seed=seed))
        self.engine.start()
        self._outer: Scope | None = None
        self.__enter__()

    def __enter__(self) -> World:
        self._outer = swap(Scope(self.engine.shard.fold.context, "the test"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        swap(None)
        self.store.close()

    async def __aenter__(self) -> World:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.engine.calls.close()
        self.__exit__(kind, error, trace)

    # ---- doing

    async def send(self, to: Table[Any, Any] | Stream[Any], *records: Any) -> Report:
        """Hands records in, as their source would, and lets the world run until nothing is under way."""
        report = self.hand_in(to, *records)
        await self.settle()
        return report

    async def heartbeat(self, *sources: Table[Any, Any] | Stream[Any]) -> None:
        """The sources of these streams say that there is nothing new; lets the world run on."""
        self.engine.heartbeat(*sources)
        await self.settle()

    def hand_in(self, to: Table[Any, Any] | Stream[Any] | str, *records: Any) -> Report:
        """Hands records in without letting time pass; `to` may also be a stream's name."""
        stream = to if isinstance(to, str) else to.stream if isinstance(to, Table) else to.name
        self.engine.shard.advance(self.clock.now_us())
        return self.engine.intake.lines(stream, b"\n".join(canonical(record) for record in records))

    async def settle(self) -> None:
        """Lets time pass until nothing is under way: no turn, no ask, no effect."""
        await self.engine.run(until="quiet")

    async def advance(self, span: timedelta) -> None:
        """Lets exactly `span` pass."""
        await self.engine.run(until=self.clock.now_us() + span_us(span))

    def answer(self, who: Agent[Any] | Learner[Any], *answers: Any, thinks: timedelta = timedelta(0)) -> _Script:
        """Scripts the answers to an agent's asks (but those of learners), or those of a learner: values, exceptions, or
        functions of what is asked; the last stays.

        The script keeps what was `asked`, and what was `told` each time of the tools just called. Scripts are in force
        for the asks after this call.
        """
        script = _Script(answers, thinks)
        if isinstance(who, Agent) and who.model.startswith("learner:"):
            raise ExtrovertError(f"Agent `{who.name}` asks {who.model.replace(':', ' ')}: script what that answers.")
        self.engine.calls.answer_for(who.asked_as if isinstance(who, Learner) else f"agent:{who.name}", script)
        return script

    def double(self, model: Model, double: Any) -> None:
        """From now on a test double of Pydantic AI answers for a model: `TestModel()`, `FunctionModel(…)`."""
        declared = Model(model.name, of_what(double), instance=double)
        self.engine.calls.answer_for(asked_as(model), RemoteModel(declared))

    def approvals(self) -> list[PendingApproval]:
        """What turns ask of persons and nobody has answered, the oldest first."""
        return pending_approvals(self.engine.shard.fold)

    async def approve(self, name: str, *, granted: bool = True, by: str = "the test", note: str = "") -> None:
        """Answers the approval of this name (its id, its turn, or `agent:key`), and lets the world run on."""
        self.engine.shard.advance(self.clock.now_us())
        decide(self.engine, name, Approval(granted, by, note))
        await self.settle()

    def outcome(self, effect: Effect[...], *outcomes: Any) -> None:
        """Scripts what comes of an effect: values, exceptions, or functions of its arguments; the last stays."""
        self._outcomes[effect.name] = list(outcomes)

    # ---- looking

    @property
    def now(self) -> datetime:
        """The world's time."""
        return START + timedelta(microseconds=self.clock.now_us() - to_us(START))

    async def decision(self, agent: Agent[Any], key: Any) -> Decision:
        """The latest decision of an agent about `key`, when everything due has happened. Raises if there is none."""
        await self.settle()
        found = [one for one in self.decisions(agent) if one.id.rpartition("@")[0] == f"{agent.name}:{key}"]
        if not found:
            raise ExtrovertError(f"Agent `{agent.name}` has decided nothing about `{key}`. {self._why_not(agent)}")
        return found[-1]

    def decisions(self, agent: Agent[Any]) -> list[Decision]:
        """All decisions of an agent, oldest first."""
        self.engine.writing.flush()
        bodies = [_body(entry) for entry in reversed(self.store.ended(agent=agent.name, limit=-1))]
        return [self._decision(body) for body in bodies if isinstance(body, Decided)]

    async def backtest(
        self,
        agent: Agent[Any],
        *,
        model: Policy[Any] | Model | Learner[Any] | str = "",
        prompt: str | None = None,
        on_miss: OnMiss = "refuse",
    ) -> list[Compared]:
        """What an agent would have decided with another `model` (policy, learner) or `prompt`, beside what it has.

        Policies answer anew; what a model or a script answered is found again where the question is the same.
        """
        self.engine.writing.flush()
        kind = "policy" if isinstance(model, Policy) else "model"
        named = {kind: model.name if isinstance(model, Policy | Model) else asked_as(model)}
        seed = self.engine.settings.seed
        version = candidate(self.declared, agent.name, prompt=prompt, seed=seed, **named)
        return await Backtest(self.declared, self.store, [version], on_miss=on_miss, seed=seed).run()

    def dead_letters(self) -> list[Dead]:
        """All dead letters, oldest first."""
        self.engine.writing.flush()
        bodies = [_body(entry) for entry in self.store.dead()]
        return [body for body in bodies if isinstance(body, Dead)]

    def _why_not(self, agent: Agent[Any]) -> str:
        letters = [letter.cause for letter in self.dead_letters()]
        ended = [_body(entry) for entry in self.store.ended(agent=agent.name)]
        outcomes = [f"{body.turn} ended as {body.outcome}" for body in ended if isinstance(body, Ended)]
        return " ".join([*outcomes, *(f"Dead letter: {cause}" for cause in letters)]) or "It has had no turn."

    def _decision(self, body: Decided) -> Decision:
        fold = self.engine.shard.fold
        records = {name: state.declared.record for name, state in fold.context.tables.items()}

        def row(table: str, raw: msgspec.Raw) -> Any:
            return None if is_null(raw) else msgspec.json.decode(raw, type=records[table])

        return Decision(
            id=body.turn,
            writes=[Written(write.to, write.key, row(write.to, write.row)) for write in body.writes],
            emits=[(one.to, msgspec.json.decode(one.data, type=fold.streams[one.to].event)) for one in body.emits],
            effects=[(one.effect, msgspec.json.decode(one.args)) for one in body.effects],
            reads=body.reads,
            attempts=body.attempt,
            reruns=len(body.changed),
        )

    def _recording(self, effect: Effect[Any]) -> Effect[Any]:
        async def record(*arguments: Any, **_named: Any) -> Any:
            self.performed.append((effect.name, list(arguments)))
            scripted = self._outcomes.get(effect.name)
            if not scripted:
                return None
            outcome = scripted.pop(0) if len(scripted) > 1 else scripted[0]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome(*arguments) if callable(outcome) else outcome

        recording = copy(effect)
        recording.function, recording.reconcile = record, None
        return recording


def _body(entry: Entry) -> Any:
    return msgspec.json.decode(entry.body, type=Decided | Ended | Dead | Retried)
