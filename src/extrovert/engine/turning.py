"""Turning: admits due wakes, runs attempts, looks again when a read changed, commits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from extrovert.context.copies import Copy
from extrovert.context.reads import current
from extrovert.core.errors import PermanentError, TurnError
from extrovert.core.log import Answered, AskSent, Attempted, Usage
from extrovert.core.time import earliest
from extrovert.engine.admitting import Admitting
from extrovert.engine.bounding import Bounds, hold_asked, said_of_hold
from extrovert.engine.ending import commit, end, fail, log_emitting
from extrovert.engine.holding import Holding
from extrovert.engine.shard import Call, Shard
from extrovert.engine.telling import tell
from extrovert.turns.asking import emitted
from extrovert.turns.attempt import Attempt
from extrovert.turns.given import scope_of, turn_of, value_of, wanted
from extrovert.turns.ledger import newer
from extrovert.turns.mail import mail_for
from extrovert.turns.request import Place, Question, Reply
from extrovert.turns.running import HOLD, Running
from extrovert.turns.scope import TurnScope
from extrovert.turns.waits import Approval

__all__ = ["Turning"]

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
        self._admitting = Admitting(shard)
        self._bounds = Bounds(shard)
        self._holding = Holding(shard)

    # ---- driven by the host

    def step(self) -> None:
        """Does what is due now: looks again where reads changed, tries failed turns again, admits wakes.

        What a turn commits can wake others, or itself, without end: `more` says that the host is to come again.
        """
        self._room = MOST_TURNS
        self.more = True
        while self.more and self._room > 0:
            for turn in self._bounds.overdue() if self._bounds.any else ():
                self._bound(turn, "its deadline has passed", [])
            if self.stale or self.fold.context.touched:
                self._recheck()
            if self.retrying:
                self._retry()
            if self.fold.mail.came:
                self._take_mail()
            self.more = self._admit() or bool(self.fold.mail.came)

    @property
    def busy(self) -> bool:
        """Whether there is a turn to be looked at soon."""
        return self.more or bool(self.stale) or bool(self.fold.context.touched)

    def next_us(self) -> int | None:
        """The earliest time at which `step` has something to do that is known now; None: nothing is."""
        if self.more:
            return self.shard.now_us
        moments = [self._admitting.next_us(), self._bounds.next_us(), self.fold.context.next_us()]
        if self.stale:
            moments += [turn.checked_us + self.options.recheck_us for turn in self.stale]
        moments += [turn.retry_at_us for turn in self.retrying]
        return earliest(moments)

    def answered(self, call: Call, reply: Reply) -> None:
        """The answer to `call` came."""
        self.answer(call.turn, call.place, reply.answer, reply.usage)

    def ran_out(self, call: Call, answer: msgspec.Raw) -> None:
        """Nothing has answered a wait until its end, but for an event that came at this very moment."""
        turn = self.fold.running.get(call.turn)
        if turn is not None and turn in self.fold.mail.came:
            self._take_mail_of(turn)
        self.answer(call.turn, call.place, answer)

    def answer(self, name: str, place: Place, answer: msgspec.Raw, usage: Usage | None = None) -> None:
        """What the turn of this name asked has its answer; one that nobody waits for any more is dropped."""
        turn = self.fold.running.get(name)
        if turn is None or place not in turn.calls:
            return
        self.remember(turn, place, answer, usage)
        if place[0] == HOLD:
            self._released(turn, msgspec.json.decode(answer, type=Approval))
        elif turn.suspended is not None and (not self._validates(turn) or current(turn.reads)):
            self._resume(turn, turn.suspended)
        elif not (turn.positions and turn.calls):  # a guarded turn waits for all that was in flight
            self._attempt(turn, "answered")

    def remember(self, turn: Running, place: Place, answer: msgspec.Raw, usage: Usage | None = None) -> None:
        """Logs an answer; the turn does not go on yet."""
        body = Answered(turn.id, place[0], place[1], answer, usage)
        self.shard.log(body, lambda offset: self.fold.answered(body, offset, self.shard.now_us))

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
            self._bounds.begin(turn)
            if turn.retry_at_us is not None:
                self.retrying[turn] = None
            elif (said := said_of_hold(turn)) is not None:
                self._released(turn, said)
            elif not turn.held:
                self._recover(turn)

    def _recover(self, turn: Running) -> None:
        attempt = self._looked(turn)
        if attempt is not None and self._holding.held_still(turn, attempt):
            return
        questions = () if attempt is None else attempt.questions
        if attempt is not None and questions and all(question.is_among(turn.calls) for question in questions):
            turn.asked = attempt.turn.memo.asked
            if self._validates(turn) and not turn.positions:
                turn.watch(attempt.scope.taken)
            self._park(turn, attempt)
            for question in questions:
                sent, sent_us = turn.calls[question.place]
                self._call(turn, question.about(sent), sent_us)
            if any(newer(token, turn.trail[-1]) for token in turn.reads.values()):
                self.stale[turn] = None
            return
        if attempt is not None:
            attempt.drop()
        turn.lost = frozenset(turn.calls)
        self.stale[turn] = None

    def _looked(self, turn: Running) -> Attempt | None:
        """An attempt that only looks where it gets to; None where it gets nowhere."""
        try:
            self._look_at_value(turn)
        except Exception:
            return None
        return self._holding.looked(turn, lambda silent: self._new_attempt(turn, (), silent))

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
            self._attempt(turn, self._holding.why(turn))

    def _retry(self) -> None:
        now_us = self.shard.now_us
        due = [turn for turn in self.retrying if turn.retry_at_us is None or turn.retry_at_us <= now_us]
        for turn in sorted(due, key=lambda turn: turn.order):
            del self.retrying[turn]
            turn.retry_at_us = None
            self._attempt(turn, "retried")

    def _admit(self) -> bool:
        """Begins the turns that are due; whether there were any."""
        before = self._room
        for turn in self._admitting.begun(self._room):
            self._room -= 1
            self._bounds.begin(turn)
            self._attempt(turn, "woken")
        return self._room < before

    def _take_mail(self) -> None:
        """Answers those who wait for an event that has come."""
        came, self.fold.mail.came = self.fold.mail.came, {}
        for turn in sorted(came, key=lambda turn: turn.order):
            self._take_mail_of(turn)

    def _take_mail_of(self, turn: Running) -> None:
        while turn.id in self.fold.running and (found := mail_for(turn)) is not None:
            self.answer(turn.id, *found)

    # ---- running an attempt

    def _attempt(self, turn: Running, why: str) -> None:
        """Runs a fresh attempt over the present context, and does what follows from how it ended."""
        turn.let_go()
        wall = self.options.wall_us
        started = wall()
        stale = self._holding.changed(turn) if turn.reads else []
        turn.attempt += 1
        turn.checked_us = self.shard.now_us
        try:
            self._look_at_value(turn)
        except Exception as error:
            self._failed(turn, error)
            return
        if turn.value is None and turn.agent.declines_none:
            end(self.shard, turn, "gone", "")
            return
        self.reruns += bool(stale)
        attempt = self._holding.run(turn, lambda silent: self._new_attempt(turn, stale, silent), why, stale)
        if attempt is not None:
            self._follow(turn, attempt, why, stale, started)

    def _follow(self, turn: Running, attempt: Attempt, why: str, stale: list[str], started: int) -> None:
        if attempt.error is not None:
            attempt.drop()
            self._failed(turn, attempt.error)
        elif attempt.questions:
            self._wait(turn, attempt, why, stale)
            turn.wall_us += self.options.wall_us() - started
        elif self._validates(turn) and not current(attempt.scope.taken):
            turn.reads = attempt.scope.taken
            self.stale[turn] = None
        else:
            commit(self.shard, turn, attempt, why, stale, started)

    def _look_at_value(self, turn: Running) -> None:
        """Takes what the turn is about, and what the agent function is given of it. Raises what `when` does."""
        turn.value, turn.version = value_of(self.fold, turn)
        turn.value = wanted(turn.agent, turn.value)

    def _new_attempt(self, turn: Running, stale: Sequence[str], silent: tuple[str, ...]) -> Attempt:
        scope = partial(self._scope, turn)
        seed, now_us = self.options.seed, self.shard.now_us
        return Attempt(
            turn.agent, turn.value, scope, partial(turn_of, self.fold, turn, seed, now_us, tuple(stale), silent)
        )

    def _copy(self) -> Copy | None:
        copies = self.fold.context.copies
        return None if copies is None else copies.at(self.shard.now_us)

    def _scope(self, turn: Running) -> TurnScope:
        return scope_of(self.fold, turn, self._copy(), looks=self.options.validate)

    def _resume(self, turn: Running, attempt: Attempt) -> None:
        """Goes on where an attempt waits: where it is validated, that is as if it had been run from its start."""
        started = self.options.wall_us()
        turn.suspended = None
        attempt.scope.copy = self._copy()
        attempt.resume()
        if attempt.turn.may_differ and self._validates(turn):
            attempt.drop()
            self._attempt(turn, "answered")
            return
        turn.attempt += 1
        turn.checked_us = self.shard.now_us
        self._follow(turn, attempt, "answered", [], started)

    def _validates(self, turn: Running) -> bool:
        """Whether changes of what it has read disturb the turn. A shadow would else never see a case to its end, since
        the agent beside it settles that."""
        return self.options.validate and not turn.agent.shadow

    def _park(self, turn: Running, attempt: Attempt) -> None:
        """Keeps an attempt that waits for answers, to go on there. One that may wait for days is run anew then."""
        if self._validates(turn) and (turn.parks or turn.positions or attempt.turn.may_differ):
            attempt.drop()
        else:
            turn.suspended = attempt

    # ---- how an attempt ends

    def _wait(self, turn: Running, attempt: Attempt, why: str, stale: list[str]) -> None:
        """The attempt waits for answers: it joins the calls in flight that ask the same, and sends its own."""
        shard, asked = self.shard, {question.place: question for question in attempt.questions}
        new = [question for place, question in asked.items() if place not in turn.calls or place in turn.lost]
        if stale and new and self._bounds.reached(turn):
            attempt.drop()
            self._bound(turn, f"what it read changed in {turn.reruns} runs; the last change: {stale[0]}", stale)
            return
        gone = [place for place in turn.calls if place not in asked or place in turn.lost]
        turn.lost, again = frozenset(), {question.place for question in new}
        asks = tell(shard, turn, new)
        body = Attempted(
            turn=turn.id,
            agent=turn.agent.name,
            key=turn.key,
            attempt=turn.attempt,
            why=why,
            changed=stale,
            asks=asks,
            joined=[place[0] for place in asked if place not in again],
            cancelled=[place[0] for place in gone],
            refused=attempt.refused,
            saved=len(attempt.turn.memo.used) + len(asked) - len(new) if stale else 0,
            wake=None if turn.trail else turn.wake,
            emits=[emit for question in new if (emit := emitted(question)) and not turn.agent.shadow],
            positions=attempt.turn.memo.asked[len(turn.positions) :] if turn.positions else [],
        )
        if new or gone or stale or body.refused or turn.silent:
            log_emitting(shard, body, lambda offset: self.fold.attempted(body, offset, shard.now_us))
        else:
            turn.attempt -= 1  # one of several answers: nothing has come of it yet
        shard.cancelled.extend((turn.id, place) for place in gone)
        turn.asked = attempt.turn.memo.asked
        turn.watch(attempt.scope.taken if self._validates(turn) and not turn.positions else {})
        self._park(turn, attempt)
        for question in new:
            self._call(turn, question, shard.now_us)
            if question.request.kind == "next":
                self.fold.mail.came[turn] = None  # for what has come since an earlier wait

    def _call(self, turn: Running, question: Question, sent_us: int) -> None:
        self.shard.calls.append(Call(turn.id, turn.agent.name, turn.key, question.place, question.request, sent_us))

    def _bound(self, turn: Running, cause: str, stale: list[str]) -> None:
        """The world has disturbed the turn too often, or for too long: what its agent declares happens."""
        conflict = turn.agent.on_conflict
        if conflict == "contended":
            end(self.shard, turn, "contended", cause)
        elif conflict == "drop":
            end(self.shard, turn, "dropped", cause)
        else:
            self._stand_still(turn, hold_asked(turn, cause) if conflict == "hold" else None, stale)

    def _stand_still(self, turn: Running, hold: AskSent | None, stale: list[str]) -> None:
        """From now on no change disturbs the turn: it is guarded, or, with `hold`, waits for a person."""
        shard = self.shard
        gone = [place for place in turn.calls if hold is not None or place in turn.lost]
        turn.lost = frozenset()
        body = Attempted(
            turn=turn.id,
            agent=turn.agent.name,
            key=turn.key,
            attempt=turn.attempt,
            why="changed" if stale else "late",
            changed=stale,
            asks=[] if hold is None else [hold],
            cancelled=[place[0] for place in gone],
            wake=None if turn.trail else turn.wake,
            positions=turn.asked if hold is None else [],
        )
        shard.log(body, lambda offset: self.fold.attempted(body, offset, shard.now_us))
        shard.cancelled.extend((turn.id, place) for place in gone)
        turn.watch({})
        turn.let_go()
        self.stale.pop(turn, None)
        if not turn.calls:
            self._attempt(turn, "answered")

    def _released(self, turn: Running, said: Approval) -> None:
        """A person has said whether a turn that was held may go on."""
        if said.granted:
            self._bounds.begin(turn)
            self._attempt(turn, "released")
        else:
            end(self.shard, turn, "dropped", f"held, and denied by {said.by or 'nobody'}: {said.note}")

    def _failed(self, turn: Running, error: Exception) -> None:
        """An attempt raised: it is tried again after a while, or the wake goes to the dead letters."""
        cause = f"{type(error).__name__}: {error}"
        if (
            isinstance(error, PermanentError | TurnError)
            or turn.failures + 1 >= turn.agent.max_tries
            or self._bounds.late(turn)
        ):
            end(self.shard, turn, "failed", cause)
            return
        self.retrying[turn] = None
        fail(self.shard, turn, cause, error)
