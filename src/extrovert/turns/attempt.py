"""One attempt: an agent function run from its start over the present context, with the answers that are there.

It waits where all that it asks is unanswered; else it is at its end, or has an error. It is synchronous and touches
nothing outside its scope, so it can be run again at any moment, and goes on where nothing that it read has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from extrovert.context.reads import Scope, swap
from extrovert.core.errors import GuardFailed, Refuse, TurnError
from extrovert.turns.asking import questions_of
from extrovert.turns.declare import Agent
from extrovert.turns.request import Place, Question, Refusal
from extrovert.turns.scope import TurnScope
from extrovert.turns.turn import Turn

__all__ = ["Attempt"]

MAX_CLOSES = 10
"""How many asks in `finally` blocks are passed over when an attempt is ended."""

NewTurn = Callable[[TurnScope, Mapping[Place, tuple[Refusal, ...]]], Turn]


class Attempt:
    """One attempt. After `run` exactly one of these holds: there are `questions` (it waits until one of them is
    answered), `error` is set (it failed), or neither (it is done, and its scope and turn hold what it read and wants to
    change).

    `refused` lists the refusals on the way, as "reason".
    """

    def __init__(self, agent: Agent[Any], value: Any, new_scope: Callable[[], TurnScope], new_turn: NewTurn) -> None:
        self.agent = agent
        self.value = value
        self.questions: tuple[Question, ...] = ()
        self.error: Exception | None = None
        self.refused: list[str] = []
        self._new_scope = new_scope
        self._new_turn = new_turn
        self._refusals: dict[Place, tuple[Refusal, ...]] = {}
        self._begin()

    def _begin(self) -> None:
        self.scope = self._new_scope()
        self.turn = self._new_turn(self.scope, self._refusals)
        self._coroutine: Coroutine[Any, Any, None] = self.agent.begin(self.turn, self.value)
        self._approved = False

    def run(self) -> None:
        """Runs until it waits, fails or is done; what it does not need any more is closed."""
        self._drive()
        if self.error is not None:
            self.drop()

    def drop(self) -> None:
        """Ends an attempt that waits; it will not be resumed. What it does on its way out (`finally`) has no say."""
        outer = swap(Scope(self.scope.context, self.scope.label))
        try:
            for _ in range(MAX_CLOSES):
                try:
                    self._coroutine.close()
                    return
                except Exception:  # noqa: S112 -- a `finally` that awaits is stopped at each of its asks
                    continue
        finally:
            swap(outer)

    def resume(self) -> None:
        """Goes on where it waits, whatever has changed since: whoever calls this knows that nothing has, or does not
        care."""
        self.questions = ()
        self.run()

    def _drive(self) -> None:
        while True:
            try:
                self._advance()
            except StopIteration:
                return
            except (Refuse, msgspec.ValidationError) as refusal:
                if not self._take_back(refusal):
                    return
                continue
            except Exception as error:
                self.error = error
            return

    def _advance(self) -> None:
        """Lets the coroutine go on until nothing that it waits for is answered. Raises what the coroutine raises."""
        outer = swap(self.scope)
        knows = self.turn.memo.knows
        try:
            while True:
                try:
                    handed_out = self._coroutine.send(None)
                except StopIteration:
                    if self._asks_approval():
                        continue
                    self.turn.staged.check_guards()
                    raise
                asked = questions_of(handed_out)
                if asked is None:
                    raise TurnError(self._not_ours(handed_out))
                if not any(map(knows, asked)):
                    self.questions = asked
                    return
        finally:
            swap(outer)

    def _asks_approval(self) -> bool:
        """At its end: whether it first asks a person if what it has staged may be done. Raises `Refuse` where it may
        not."""
        wanted = None if self._approved else self.turn.to_approve()
        if wanted is None:
            return False
        self._approved = True
        self._coroutine = self.turn.approved(wanted)
        return True

    def _take_back(self, refusal: Refuse | msgspec.ValidationError) -> bool:
        """An answer was refused: begins again with the refusal told, or gives up. True to begin again."""
        reason, turn = str(refusal), self.turn
        if not isinstance(refusal, Refuse):
            if turn.memo.latest is not None and turn.memo.latest.request.kind != "ask":
                self.error = TurnError(f"What came of `{turn.memo.latest.request.model}` does not fit: {reason}")
                return False
            reason = f"the answer does not fit: {reason}"
        if turn.memo.latest_ask is None and isinstance(refusal, GuardFailed):
            self.error = refusal
            return False
        if turn.memo.latest_ask is None:
            self.error = TurnError(f"Agent `{self.agent.name}` refused ({reason}), but nothing had been asked.")
            return False
        self.refused.append(reason)
        if len(self.refused) > self.agent.max_refusals:
            self.error = TurnError(f"Every answer was refused, the last because: {reason}")
            return False
        question, answer = turn.memo.latest_ask
        self._refusals[question.base] = (*self._refusals.get(question.base, ()), Refusal(answer.value, reason))
        led_here, tainted = self.scope.taken, turn.tainted
        self._begin()
        self.scope.led = led_here  # the refusal hangs on them, so they are among what the turn read
        self.turn.led(tainted)
        return True

    def _not_ours(self, awaited: Any) -> str:
        frame: Any = getattr(self._coroutine, "cr_frame", None)
        line = "" if frame is None else f" ({frame.f_code.co_filename}:{frame.f_lineno})"
        return (
            f"Agent `{self.agent.name}` awaited {type(awaited).__name__}{line}, which a turn cannot wait for: it may "
            f"be run again at any moment. Await only what the turn offers; for a read from outside use "
            f"`await turn.call(function, ...)`."
        )
