"""The loop: one engine, which turns what is due into steps of its shard, in real or in virtual time.

In virtual time the clock moves from one thing due to the next, and stands still while real work (a call, an effect, a
write) is under way; the same inputs then give the same log, whatever the machine does meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, overload

from extrovert.context.reads import Scope, reading
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.core.log import EffectMoved
from extrovert.core.ports import Store
from extrovert.core.record import Record
from extrovert.core.time import earliest
from extrovert.engine.calls import Calls, Outcome, over
from extrovert.engine.clock import Clock, wall_us
from extrovert.engine.declared import Declared
from extrovert.engine.embedding import Embedding
from extrovert.engine.feeding import Feeding
from extrovert.engine.hearing import Hearing
from extrovert.engine.inflow import Inflow
from extrovert.engine.intake import Intake, Report
from extrovert.engine.limiting import Limiting
from extrovert.engine.lull import Lull
from extrovert.engine.pacing import split
from extrovert.engine.performing import Performing
from extrovert.engine.recovery import recover
from extrovert.engine.retention import Retention
from extrovert.engine.schema import check_schema, keep_schema, note_beginnings
from extrovert.engine.sending import Sending, wanted
from extrovert.engine.settings import Settings
from extrovert.engine.shard import Call, Options, Shard
from extrovert.engine.snapshots import Snapshots
from extrovert.engine.timing import Timing, time_ran_out
from extrovert.engine.turning import Turning
from extrovert.engine.writing import Writing
from extrovert.turns.outbox import Pending
from extrovert.turns.request import Reply
from extrovert.turns.running import WAITS

__all__ = ["Engine", "Settings"]

R = TypeVar("R", bound=Record)
T = TypeVar("T")

MAX_UNWRITTEN = 2_000
YIELD_US = 50_000
END_OF_TIME_US = 1 << 62


class Engine:
    """Runs a declared app on a store, from where its log ends. Make one, `start` it, `run` it, `close` it."""

    def __init__(self, declared: Declared, store: Store, clock: Clock, settings: Settings | None = None) -> None:
        self.declared = declared
        self.store = store
        self.clock = clock
        self.settings = settings or Settings()
        check_schema(declared, store)
        note_beginnings(declared, store)
        fold, snapshot_at = recover(declared, store)
        keep_schema(declared, store)
        options = Options(
            seed=self.settings.seed,
            validate=self.settings.validate,
            refresh_us=self.settings.refresh_us,
            heard_us=lambda now_us: self.hearing.oldest_us(now_us),
            hears=lambda stream, at_us: self.hearing.heard_us(stream, at_us),
            max_hops=declared.max_hops,
            wall_us=wall_us,
        )
        self.shard = Shard(fold, options)
        self.turning = Turning(self.shard)
        self.intake = Intake(self.shard)
        self.writing = Writing(self.shard, store)
        timed, live = split(declared.sources if self.settings.acting else (), self.intake, clock)
        self.feeding = Feeding(timed, fold.positions)
        self.inflow = Inflow(live, fold.positions, self.intake, self.writing, clock, self.look)
        self.hearing = Hearing(self.shard, self.feeding, self.inflow)
        window_us = self.settings.virtual_commit_us if clock.virtual else 0
        effects = {effect.name: effect for effect in declared.effects}
        self.performing = Performing(self.shard, effects, window_us, declared.guards)
        answerers = declared.answerers(self.settings.seed)
        self.calls = Calls({name: over(fold.context, answerer) for name, answerer in answerers.items()})
        self.embedding = Embedding(self.shard, virtual=clock.virtual, changed=self.nudge)
        self.at_instant: Callable[[], None] | None = None
        self.timing = Timing(self._wanted)
        self.words = self.calls.words
        self.limiting = Limiting(self.shard, declared.models, self.calls.timed, self._wanted)
        self.sending = Sending(
            self.shard, self.calls, self.timing, self.limiting, self.writing, self._done, virtual=clock.virtual
        )
        self._outcomes: list[Outcome] = []
        self._moves: list[EffectMoved] = []
        self._effects: set[asyncio.Task[None]] = set()
        self._ready: list[Pending] = []
        self._lull = Lull(clock)
        self._stopping = False
        self._failure: BaseException | None = None
        self.snapshots = Snapshots(declared, fold, store, snapshot_at)
        self.retention = Retention(declared.retention_us, fold, store)
        self._cut_at = fold.end

    # ---- life

    def start(self) -> None:
        """Takes up what was under way when the log ended."""
        first = self.feeding.next_us()
        self.clock.move_to(max(self.shard.fold.at_us, self.shard.fold.context.expiry.now_us) or (first or 0))
        self.shard.now_us = max(self.shard.now_us, self.shard.fold.context.expiry.now_us)
        self.shard.resume(self.clock.now_us())
        if self.settings.acting:
            self.turning.recover()
            self.limiting.recover()
            self.performing.recover()

    async def run(self, until: Literal["stopped", "quiet", "idle"] | int = "stopped") -> None:
        """Runs until `stop` is called, until an engine time, until nothing is under way ("quiet"), or until nothing is
        due any more either: no arrival, no moment that a view waits for ("idle").

        Raises what stopped it, if that was an error.
        """
        yielded = wall_us()
        self.inflow.begin()
        while not self._stopping:
            self.instant()
            self._check()
            if self._ready:
                await self._perform_ready()
                continue
            if self.clock.virtual and self.calls.outstanding:
                await self._wait(None, until)
                continue
            if self.clock.virtual and wall_us() - yielded > YIELD_US:
                await asyncio.sleep(0)
                yielded = wall_us()
            next_us = self.next_us()
            if isinstance(until, int) and (next_us is None or next_us > until):
                if self.clock.now_us() >= until:
                    return
                next_us = until
            if self.quiet and (until == "quiet" or (until == "idle" and next_us is None and not self.inflow.busy)):
                return
            if self.clock.virtual and next_us is not None:
                self.clock.move_to(next_us)
            else:
                await self._wait(next_us, until)
        self._check()

    @property
    def failure(self) -> BaseException | None:
        """What `run` has raised, or is about to."""
        return self._failure or self.writing.failure or self.snapshots.failure or self.inflow.failure

    def fail(self, failure: BaseException) -> None:
        """Something has failed that it cannot go on without."""
        self._failure = failure

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Makes `run` return after the present instant."""
        self._stopping = True
        self._lull.wake()

    async def close(self, *, keep_snapshot: bool = True) -> None:
        """Ends cleanly: calls are cancelled, what the log calls performing is performed, so that a clean stop leaves no
        outcome unknown, and everything is made durable."""
        await self.inflow.close()
        await self.calls.close()
        await self.embedding.close()
        while self._effects:
            await asyncio.wait(self._effects)
        self._take_outcomes()
        await self.writing.close()
        if self.writing.failure is None:
            self._ready.extend(self.performing.ready(END_OF_TIME_US, self.writing.durable))
            await self._perform_ready()
            self._take_outcomes()
            self.writing.flush()
        for close in self.declared.closed:
            await close()
        await self.snapshots.close()
        if keep_snapshot and self.writing.failure is None and self.shard.fold.end > max(1, self.snapshots.at):
            self.keep_snapshot()

    def keep_snapshot(self) -> None:
        """Saves the present state beside the log, which then has to be durable up to here."""
        self.writing.flush()
        self.snapshots.keep(base=self.retention.take_base(self.shard.now_us))
        self._cut_at = self.shard.fold.end

    # ---- what others may do

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way: no turn (but those that wait for the clock, an event or a person), no call, no
        effect. What was handed in since the last instant is not under way yet: `durable` waits for that."""
        fold = self.shard.fold
        busy = len(fold.running) > len(fold.parked) or self.calls.outstanding or self._effects or self._ready
        busy = busy or self.turning.busy or self.embedding.busy
        return not busy and self.performing.idle

    def nudge(self) -> None:
        """Something was handed in: look what is due."""
        self._lull.wake()

    def look(self) -> None:
        """The same, at once, where the engine has nothing else to do."""
        try:
            if not self._lull.interrupt(self.instant) or self._lull.is_late(self.next_us()):
                self.nudge()
        except Exception as error:
            self._failure = error  # `run` raises it
            self.nudge()

    async def durable(self) -> None:
        """Returns when everything applied so far is durable: what is then read may be told to the outside."""
        if self.clock.virtual:
            self.writing.flush()
            return
        self.nudge()
        await self.writing.wait_for(self.shard.fold.end - 1)

    @overload
    async def send(self, to: Stream[T], records: Iterable[T] | AsyncIterable[T], *, source: str = "") -> Report: ...
    @overload
    async def send(self, to: Table[Any, R], records: Iterable[R] | AsyncIterable[R], *, source: str = "") -> Report: ...
    async def send(self, to: Any, records: Any, *, source: str = "") -> Report:
        """Takes in records for a stream (or the stream of a table) and returns when they are durable.

        Many may be given at once, also as they come: they are taken as fast as they can be written. What is not good
        is in the report by its number, from 1, and in the dead letters. The engine must be running.
        """
        name: str = to.stream if isinstance(to, Table) else to.name
        report = await self.inflow.send(name, records, source)
        await self.durable()
        return report

    def heartbeat(self, *sources: Stream[Any] | Table[Any, Any]) -> None:
        """The sources of these streams, or of these tables', are there and have nothing new. To be said at will: it is
        logged only when somebody depends on it."""
        for to in sources:
            stream = self.intake.stream(to.stream if isinstance(to, Table) else to.name)
            self.hearing.beat(stream.name, self.clock.now_us())
        self.nudge()

    @contextmanager
    def reading(self) -> Generator[None]:
        """Live context can be read in the block, from outside views and turns."""
        with reading(Scope(self.shard.fold.context, "a query from outside")):
            yield

    # ---- one instant

    def instant(self) -> None:
        """Does everything that is due now."""
        now_us = self.clock.now_us()
        self.shard.advance(now_us)
        self._take_outcomes()
        while (arrivals := self.feeding.take(now_us)) is not None:
            self.intake.arrivals(*arrivals)
        self.inflow.instant()
        self.hearing.step(now_us)
        if self.settings.acting:
            self.embedding.step(now_us)
            self._act(now_us)
        if self.at_instant is not None:
            self.at_instant()
        self._write()

    def _act(self, now_us: int) -> None:
        """Answers, turns and effects, until nothing more is due now."""
        while True:
            self._answer_due(now_us)
            self.turning.step()
            self.sending.step()
            self._effects_due(now_us)
            due_us = self.timing.next_us()
            if due_us is None or due_us > now_us:
                return

    def next_us(self) -> int | None:
        """When something is due next; None where nothing is known to be."""
        if not self.settings.acting:
            return None
        moments = [self.feeding.next_us(), self.turning.next_us(), self.embedding.next_us(), self.timing.next_us()]
        moments.append(self.limiting.next_us())
        if not self.performing.still and (self.clock.virtual or not self._effects_wait()):
            moments.append(self.performing.next_us())
        moments.append(self.hearing.next_us(self.clock.now_us()))
        return earliest(moments)

    def _effects_wait(self) -> bool:
        return self.performing.wants_durable(self.clock.now_us()) > self.writing.durable

    def _take_outcomes(self) -> None:
        if self._outcomes:
            outcomes, self._outcomes = self._outcomes, []
            for call, outcome in sorted(outcomes, key=lambda pair: (pair[0].turn, pair[0].place)):
                self._hand_over(call, outcome)
        if self._moves:
            moves, self._moves = self._moves, []
            self.performing.settle(sorted(moves, key=lambda move: move.key))

    def _hand_over(self, call: Call, outcome: Reply | Exception) -> None:
        if isinstance(outcome, Exception):
            self.limiting.failed(call, outcome)
            self.turning.ask_failed(call, outcome)
        else:
            self.turning.answered(call, outcome)

    def _answer_due(self, now_us: int) -> None:
        while (call := self.timing.take(now_us)) is not None:
            if call.request.kind in WAITS:
                self.turning.ran_out(call, time_ran_out(call.request))
            else:
                self._hand_over(call, self.calls.answer(call))

    def _wanted(self, call: Call) -> bool:
        return wanted(self.shard, call)

    def _done(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._lull.wake()

    def _effects_due(self, now_us: int) -> None:
        performing = self.performing
        if performing.still:
            return
        performing.take_intents()
        if self.clock.virtual and self._effects_wait():
            self.writing.flush()
        performing.mark(now_us, self.writing.durable)
        ready = performing.ready(now_us, self.writing.durable)
        if self.clock.virtual:
            self._ready.extend(ready)
            return
        for pending in ready:
            task = asyncio.create_task(self._perform(pending), name=f"effect {pending.key}")
            self._effects.add(task)
            task.add_done_callback(self._performed)

    async def _perform_ready(self) -> None:
        """Performs, one after the other, while virtual time stands still."""
        ready, self._ready = self._ready, []
        for pending in ready:
            await self._perform(pending)

    async def _perform(self, pending: Pending) -> None:
        move = await self.performing.perform(pending)
        self._moves.append(move)  # in the list of now, which is another one than before the wait

    def _performed(self, task: asyncio.Task[None]) -> None:
        self._effects.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
        self._lull.wake()

    def _write(self) -> None:
        if not self.clock.virtual:
            self.writing.start(self._written, hurry=self._awaits_a_write)
        elif len(self.shard.unwritten) > MAX_UNWRITTEN:
            self.writing.flush()
        due = self.shard.fold.end - self._cut_at > self.settings.snapshot_every
        if (due or self.retention.wants_base(self.shard.now_us)) and not self.snapshots.saving:
            self._save()
        if self.snapshots.saving:
            self.snapshots.go_on(self.writing.durable, self.nudge)
        self.retention.step(self.shard.now_us, None if self.clock.virtual else self.writing.beside, self.nudge)

    @property
    def _awaits_a_write(self) -> bool:
        return self.snapshots.saving or self.sending.waits or not self.performing.still

    def _written(self) -> None:
        """A write has ended: goes on with the next one, or with what waited for it."""
        if self._awaits_a_write or self.writing.failure is not None:
            self.nudge()
        else:
            self.writing.start(self._written)

    def _save(self) -> None:
        if self.clock.virtual:
            self.keep_snapshot()
        else:
            self._cut_at = self.shard.fold.end
            self.snapshots.begin(base=self.retention.take_base(self.shard.now_us))

    async def _wait(self, until_us: int | None, until: str | int) -> None:
        ready = bool(self._outcomes or self._moves or self.embedding.ready or self._stopping)
        await self._lull.wait(until_us, ready=ready, free=until == "stopped" and not self.clock.virtual)
