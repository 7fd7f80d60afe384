"""Ending: what is logged when a turn commits, fails or ends without a decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from extrovert.core.errors import TransientError
from extrovert.core.ids import canonical
from extrovert.core.log import Attempted, Dead, Decided, Ended, Failed, Wake
from extrovert.core.time import span_us
from extrovert.engine.shard import Shard
from extrovert.turns.attempt import Attempt
from extrovert.turns.buffered import emits_of, writes_of
from extrovert.turns.intended import intents
from extrovert.turns.ledger import notes
from extrovert.turns.running import Running

__all__ = ["commit", "end", "fail", "log_emitting"]

Apply = Callable[[int], list[tuple[int, str]]]
SILENT = frozenset({"gone", "dropped", "stale"})
"""Outcomes that call for nobody: they are in the ledger, and no dead letter tells of them."""

MOST_NAMED = 20
"""So many texts from outside a decision names at most."""


def commit(shard: Shard, turn: Running, attempt: Attempt, why: str, stale: list[str], started: int) -> None:
    """Logs the decision of an attempt that is done, over the context that it has just seen."""
    scope, seen = attempt.scope, attempt.turn
    body = Decided(
        turn=turn.id,
        agent=turn.agent.name,
        key=turn.key,
        wake=wake_seen(shard, turn),
        attempt=turn.attempt,
        why=why,
        reads=notes(scope.taken),
        changed=stale,
        trail=turn.whole_trail,
        answers=[answer.offset for answer in seen.memo.used],
        writes=writes_of(scope),
        emits=emits_of(seen),
        effects=intents(seen.staged.intended),
        refused=attempt.refused,
        saved=len(seen.memo.used) if stale else 0,
        age_us=shard.now_us - (shard.options.heard_us(shard.now_us) if scope.copy is None else scope.copy.at_us),
        guarded=bool(turn.positions),
        guards=[condition.note for condition in seen.staged.conditions],
        undoes=seen.staged.undone,
        heard=shard.ages(shard.fold.context.origins.of_reads(scope.taken), shard.now_us),
        silent=list(seen.silent),
        shadow=turn.agent.shadow,
        tainted=list(seen.tainted[:MOST_NAMED]),
    )
    cancel_calls(shard, turn)
    log_emitting(
        shard,
        body,
        lambda offset: shard.fold.decided(body, offset, shard.now_us),
        about=(turn.id, turn.agent.name, str(turn.key)),
        since_us=started - turn.wall_us,
    )


def log_emitting(shard: Shard, body: Decided | Attempted, apply: Apply, **options: Any) -> None:
    """Logs an entry that emits events; those that a table cannot take are dead letters."""
    offset = shard.fold.end
    emits = 0 if isinstance(body, Decided) and body.shadow else len(body.emits)
    failures: Sequence[tuple[int, str]] = shard.log(body, apply, count=1 + emits, **options)
    for place, cause in failures:
        emit = body.emits[place]
        shard.bury(Dead(emit.to, cause, raw=bytes(emit.data).decode(), event=offset + 1 + place))


def fail(shard: Shard, turn: Running, cause: str, error: Exception) -> None:
    """Logs that an attempt failed, and when the turn is tried again."""
    agent = turn.agent
    wait_us = span_us(agent.retry_after) * 2**turn.failures
    if isinstance(error, TransientError) and error.retry_after_s is not None:
        wait_us = span_us(error.retry_after_s)
    cancel_calls(shard, turn)
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
    turn.let_go()
    shard.log(body, lambda offset: shard.fold.failed(body, offset, shard.now_us))


def end(shard: Shard, turn: Running, outcome: str, cause: str) -> None:
    """Ends a turn without a decision; where somebody should know, with a dead letter."""
    agent = turn.agent
    cancel_calls(shard, turn)
    body = Ended(turn.id, agent.name, turn.key, outcome, wake_seen(shard, turn), turn.attempt, turn.whole_trail, cause)
    about = (turn.id, agent.name, str(turn.key))
    shard.log(body, lambda offset: shard.fold.ended(body, offset, shard.now_us), about=about)
    if outcome not in SILENT:
        why, events = f"{outcome}: {cause}", derived_events(shard, turn)
        shard.bury(Dead(turn.wake.on, why, turn=turn.id, agent=agent.name, key=turn.key, events=events))


def wake_seen(shard: Shard, turn: Running) -> Wake:
    """The turn's wake, with the digest of what the turn saw there."""
    if turn.agent.source == "stream":
        return turn.wake
    book = shard.fold.books[turn.agent.name]
    seen = turn.wake.but(digest=book.digest(turn.value, turn.version))
    saw = book.saw(turn.value)
    return seen if saw is None else seen.but(saw=saw)


def cancel_calls(shard: Shard, turn: Running) -> None:
    """Nobody waits for the turn's calls any more."""
    shard.cancelled.extend((turn.id, place) for place in turn.calls)


def derived_events(shard: Shard, turn: Running) -> list[tuple[int, msgspec.Raw]]:
    """The events that a turn saw, where the log does not hold them, since they follow from others."""
    if turn.agent.source != "stream" or not shard.fold.streams[turn.agent.on].made_by:
        return []
    return [(offset, msgspec.Raw(canonical(event))) for offset, event in turn.events]
