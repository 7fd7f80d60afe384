"""Turning: admits due wakes, runs attempts, looks again when a read changed, commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from extrovert.context.copies import Copy
from extrovert.context.reads import changed, current
from extrovert.context.shards import Border
from extrovert.core.errors import PermanentError, TransientError, TurnError
from extrovert.core.ids import canonical
from extrovert.core.log import (
    Answered,
    AskSent,
    Attempted,
    Dead,
    Decided,
    Emit,
    Ended,
    Failed,
    Intent,
    Wake,
    Write,
)
from extrovert.core.time import span_us
from extrovert.engine.shard import Call, Shard
from extrovert.turns.attempt import Attempt, Question
from extrovert.turns.ledger import named, newer, notes
from extrovert.turns.request import Answer, Refusal
from extrovert.turns.running import Running
from extrovert.turns.scope import TurnScope
from extrovert.turns.turn import Place, Turn

__all__ = ["Turning"]

NONE = msgspec.Raw(b"null")
MOST_TURNS = 1_000
"""How many turns one step begins before the host may see to sources, effects and signals again."""


class Turning:
    """The turns of one shard. `stale` holds those whose reads may have changed while they wait, `retrying` those that
    failed and are to be tried again."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.fold = shard.fold
        self.options = shard.options
        self.stale: dict[Running, None] = {}
        self.retrying: dict[Running, None] = {}
        self.reruns = 0
        self.more = False
        self._room = 0

    # ---- driven by the host

    def step(self) -> None:
        """Does what is due now: looks again where reads changed, tries failed turns again, admits wakes.

        What a turn commits can wake others, or itself, and so on: `more` says that there was no end to it yet, and that
        the host should come again when it has seen to everything else.
        """
        self._room = MOST_TURNS
        self.more = True
        while self.more and self._room > 0:
            if self.stale or self.fold.context.touched:
                self._recheck()
            if self.retrying:
                self._retry()
            self.more = self._admit()

    def next_us(self) -> int | None:
        """The earliest time at which `step` has something to do that is known now; None: nothing is."""
        if self.more:
            return self.shard.now_us
        moments = [book.next_us() for book in self.fold.books.values()]
        moments.append(self.fold.context.next_us())
        if self.stale:
            moments += [turn.checked_us + self.options.recheck_us for turn in self.stale]
        if self.retrying:
            moments += [turn.retry_at_us for turn in self.retrying]
        return min((moment for moment in moments if moment is not None), default=None)

    def answered(self, call: Call, answer: msgspec.Raw) -> None:
        """The answer to `call` came; one that nobody waits for any more is dropped."""
        turn = self.fold.running.get(call.turn)
        if turn is None or call.place not in turn.calls:
            return
        shard = self.shard
        body = Answered(turn.id, call.place[0], call.place[1], answer)
        shard.log(body, lambda offset: self.fold.answered(body, offset, shard.now_us))
        if turn.parked is not None:
            self._resume(turn, turn.parked, turn.answers[call.place])
        else:
            self._attempt(turn, "answered")

    def ask_failed(self, call: Call, error: Exception) -> None:
        """`call` ended with an error instead of an answer."""
        turn = self.fold.running.get(call.turn)
        if turn is not None and call.place in turn.calls:
            del turn.calls[call.place]
            turn.attempt += 1
            self._failed(turn, error)

    def recover(self) -> None:
        """After a replay: finds out what the running turns read and wait for, and asks again what was in flight."""
        for turn in sorted(self.fold.running.values(), key=lambda turn: turn.order):
            if turn.retry_at_us is not None:
                self.retrying[turn] = None
                continue
            attempt = self._looked(turn)
            question = None if attempt is None else attempt.question
            if attempt is not None and question is not None and question.place in turn.calls:
                turn.watch(attempt.scope.taken)
                self._park(turn, attempt)
                sent_us = turn.calls[question.place][1]
                self._call(turn, question, sent_us)
                if any(newer(token, turn.trail[-1]) for token in turn.reads.values()):
                    self.stale[turn] = None
            else:
                if attempt is not None:
                    attempt.drop()
                turn.calls.clear()  # nobody answers these any more: joined later, they would be waited for without end
                self.stale[turn] = None

    def _looked(self, turn: Running) -> Attempt | None:
        """An attempt that only looks where it gets to; None where it gets nowhere."""
        try:
            self._look_at_value(turn)
        except Exception:
            return None
        attempt = self._new_attempt(turn)
        attempt.run()
        return attempt

    # ---- when to run

    def _recheck(self) -> None:
        context = self.fold.context
        while True:
            for watcher in context.take_touched() if context.touched else ():
                assert isinstance(watcher, Running)
                self.stale[watcher] = None
            due_us = self.shard.now_us - self.options.recheck_us
            ready = [turn for turn in self.stale if turn.checked_us <= due_us]
            if not ready:
                return
            for turn in sorted(ready, key=lambda turn: turn.order):
                self.stale.pop(turn, None)
                if turn.id in self.fold.running and turn.retry_at_us is None:
                    self._look_again(turn)

    def _look_again(self, turn: Running) -> None:
        if not turn.reads or not current(turn.reads):
            self._attempt(turn, "changed")

    def _retry(self) -> None:
        now_us = self.shard.now_us
        due = [turn for turn in self.retrying if turn.retry_at_us is None or turn.retry_at_us <= now_us]
        for turn in sorted(due, key=lambda turn: turn.order):
            del self.retrying[turn]
            turn.retry_at_us = None
            self._attempt(turn, "retried")

    def _admit(self) -> bool:
        """Begins the turns that are due; whether there were any."""
        admitted = False
        for book in self.fold.books.values():
            book.release(self.shard.now_us)
            while book.due and len(book.running) < book.agent.concurrency and self._room > 0:
                key = book.next_key()
                if key is None:
                    break
                admitted = True
                self._room -= 1
                self._attempt(self.fold.begin(book, key, self.shard.now_us), "woken")
        return admitted

    # ---- running an attempt

    def _attempt(self, turn: Running, why: str) -> None:
        """Runs a fresh attempt over the present context, and does what follows from how it ended."""
        wall = self.options.wall_us
        started = wall()
        stale = [named(of, at) for of, at in changed(turn.reads)] if turn.reads else []
        turn.attempt += 1
        turn.checked_us = self.shard.now_us
        try:
            self._look_at_value(turn)
        except Exception as error:
            self._failed(turn, error)
            return
        if turn.value is None and turn.agent.declines_none:
            self._end(turn, "gone", "")
            return
        self.reruns += bool(stale)
        attempt = self._new_attempt(turn)
        attempt.run()
        self._follow(turn, attempt, why, stale, started)

    def _follow(self, turn: Running, attempt: Attempt, why: str, stale: list[str], started: int) -> None:
        if attempt.error is not None:
            attempt.drop()
            self._failed(turn, attempt.error)
        elif attempt.question is not None:
            self._wait(turn, attempt, attempt.question, why, stale)
            turn.wall_us += self.options.wall_us() - started
        elif self.options.validate and not current(attempt.scope.taken):
            turn.reads = attempt.scope.taken
            self.stale[turn] = None
        else:
            self._commit(turn, attempt, why, stale, started)

    def _look_at_value(self, turn: Running) -> None:
        """Takes what the agent function is given: the latest event, or the present row or value. Raises what `when`
        does."""
        if turn.agent.source == "stream":
            turn.value = turn.events[-1][1]
            return
        turn.value, turn.version = self.fold.present(turn.agent, turn.key)
        when = turn.agent.when
        if turn.value is not None and when is not None and not when(turn.value):
            turn.value = None

    def _new_attempt(self, turn: Running) -> Attempt:
        return Attempt(turn.agent, turn.value, lambda: self._scope(turn), self._new_turn(turn))

    def _copy(self) -> Copy | None:
        copies = self.fold.context.copies
        return None if copies is None else copies.at(self.shard.now_us)

    def _scope(self, turn: Running) -> TurnScope:
        context = self.fold.context
        scope = TurnScope(context, f"agent `{turn.agent.name}`, wake `{turn.wake.on}@{turn.wake.offset}`", self._copy())
        if context.strict_shards:
            scope.border = Border(scope.label, self.fold.home(turn))
        if turn.agent.source == "view" and self.options.validate:
            scope.look(context.views[turn.agent.on], turn.key)
        elif turn.agent.source == "table" and self.options.validate:
            scope.look(context.tables[turn.agent.on], turn.key)
        return scope

    def _new_turn(self, turn: Running) -> Any:
        def new(scope: TurnScope, refusals: Mapping[Place, tuple[Refusal, ...]]) -> Turn:
            return Turn(
                turn.id,
                turn.agent,
                turn.key,
                scope,
                events=[event for _, event in turn.events],
                started_us=turn.started_us,
                seed=self.options.seed,
                answers=turn.answers,
                refusals=refusals,
            )

        return new

    def _resume(self, turn: Running, attempt: Attempt, answer: Answer) -> None:
        started = self.options.wall_us()
        attempt.scope.copy = self._copy()
        attempt.resume(answer)
        turn.attempt += 1
        self._follow(turn, attempt, "answered", [], started)

    def _park(self, turn: Running, attempt: Attempt) -> None:
        if self.options.validate:
            attempt.drop()
            turn.parked = None
        else:
            turn.parked = attempt

    # ---- how an attempt ends

    def _wait(self, turn: Running, attempt: Attempt, question: Question, why: str, stale: list[str]) -> None:
        """The attempt waits for an answer: it joins the call in flight that asks the same, or sends its own."""
        shard, place = self.shard, question.place
        joins = place in turn.calls
        if stale and not joins and turn.reruns >= turn.agent.max_reruns:
            attempt.drop()
            self._end(turn, "contended", f"what it read changed in {turn.reruns} runs; the last change: {stale[0]}")
            return
        request = question.request
        sent = AskSent(place[0], place[1], request.model, msgspec.Raw(request.about_json), request.kind)
        others = [other for other in turn.calls if other != place]
        body = Attempted(
            turn=turn.id,
            agent=turn.agent.name,
            key=turn.key,
            attempt=turn.attempt,
            why=why,
            changed=stale,
            asks=[] if joins else [sent],
            joined=[place[0]] if joins else [],
            cancelled=[other[0] for other in others],
            refused=attempt.refused,
            saved=len(attempt.turn.used) + int(joins) if stale else 0,
            wake=None if turn.trail else turn.wake,
        )
        shard.log(body, lambda offset: self.fold.attempted(body, offset, shard.now_us))
        shard.cancelled.extend((turn.id, other) for other in others)
        if self.options.validate:
            turn.watch(attempt.scope.taken)
        self._park(turn, attempt)
        if not joins:
            self._call(turn, question, shard.now_us)

    def _call(self, turn: Running, question: Question, sent_us: int) -> None:
        self.shard.calls.append(Call(turn.id, turn.agent.name, turn.key, question.place, question.request, sent_us))

    def _commit(self, turn: Running, attempt: Attempt, why: str, stale: list[str], started: int) -> None:
        shard, scope, seen = self.shard, attempt.scope, attempt.turn
        body = Decided(
            turn=turn.id,
            agent=turn.agent.name,
            key=turn.key,
            wake=self._wake_seen(turn),
            attempt=turn.attempt,
            why=why,
            reads=notes(scope.taken),
            changed=stale,
            trail=turn.trail,
            answers=[answer.offset for answer in seen.used],
            writes=[
                Write(table, key, NONE if row is None else msgspec.Raw(canonical(row)))
                for table, rows in scope.writes.items()
                for key, row in rows.items()
            ],
            emits=[
                Emit(stream.name, stream.key_of(event), msgspec.Raw(canonical(event)), due_us)
                for stream, event, due_us in seen.emitted
            ],
            effects=[Intent(slot, name, msgspec.Raw(args)) for slot, (name, args) in enumerate(seen.intended)],
            refused=attempt.refused,
            saved=len(seen.used) if stale else 0,
            age_us=shard.now_us - (self.options.heard_us(shard.now_us) if scope.copy is None else scope.copy.at_us),
        )
        self._cancel_calls(turn)
        offset = self.fold.end
        failures: list[tuple[int, str]] = shard.log(
            body,
            lambda offset: self.fold.decided(body, offset, shard.now_us),
            count=1 + len(body.emits),
            about=(turn.id, turn.agent.name, str(turn.key)),
            since_us=started - turn.wall_us,
        )
        for place, cause in failures:
            emit = body.emits[place]
            shard.bury(Dead(emit.to, cause, raw=bytes(emit.data).decode(), event=offset + 1 + place))

    def _wake_seen(self, turn: Running) -> Wake:
        """The turn's wake, with the digest of what the turn saw there."""
        if turn.agent.source == "stream":
            return turn.wake
        return turn.wake.but(digest=self.fold.books[turn.agent.name].digest(turn.value, turn.version))

    def _cancel_calls(self, turn: Running) -> None:
        self.shard.cancelled.extend((turn.id, place) for place in turn.calls)

    def _failed(self, turn: Running, error: Exception) -> None:
        """An attempt raised: it is tried again after a while, or the wake goes to the dead letters."""
        agent, cause = turn.agent, f"{type(error).__name__}: {error}"
        final = isinstance(error, PermanentError | TurnError) or turn.failures + 1 >= agent.max_tries
        if final:
            self._end(turn, "failed", cause)
            return
        wait_us = span_us(agent.retry_after) * 2**turn.failures
        if isinstance(error, TransientError) and error.retry_after_s is not None:
            wait_us = span_us(error.retry_after_s)
        shard = self.shard
        self._cancel_calls(turn)
        body = Failed(
            turn=turn.id,
            agent=agent.name,
            key=turn.key,
            attempt=turn.attempt,
            cause=cause,
            retry_at_us=shard.now_us + wait_us,
            wake=None if turn.trail else turn.wake,
        )
        turn.watch({})
        turn.parked = None
        self.retrying[turn] = None
        shard.log(body, lambda offset: self.fold.failed(body, offset, shard.now_us))

    def _end(self, turn: Running, outcome: str, cause: str) -> None:
        """Ends a turn without a decision; where somebody should know, with a dead letter."""
        shard, agent = self.shard, turn.agent
        self._cancel_calls(turn)
        body = Ended(turn.id, agent.name, turn.key, outcome, self._wake_seen(turn), turn.attempt, turn.trail, cause)
        about = (turn.id, agent.name, str(turn.key))
        shard.log(body, lambda offset: self.fold.ended(body, offset, shard.now_us), about=about)
        if outcome != "gone":
            why, events = f"{outcome}: {cause}", self.fold.derived_events(turn)
            shard.bury(Dead(turn.wake.on, why, turn=turn.id, agent=agent.name, key=turn.key, events=events))
