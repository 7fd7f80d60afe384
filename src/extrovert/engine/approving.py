"""Approving: what turns ask of persons, and the persons' answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from extrovert.core.errors import DeclarationError
from extrovert.core.ids import canonical
from extrovert.core.record import Record
from extrovert.turns.fold import Fold
from extrovert.turns.request import Place
from extrovert.turns.running import Running
from extrovert.turns.waits import Approval, ApprovalAsked

if TYPE_CHECKING:
    from extrovert.engine.loop import Engine

__all__ = ["PendingApproval", "decide", "pending_approvals"]

_asked = msgspec.json.Decoder(ApprovalAsked)


class PendingApproval(Record):
    """A question to a person that waits: `id` names it, `what` is what may be done or not (JSON).

    Where nobody has answered when it is `until_us`, the answer is `otherwise`.
    """

    id: str
    turn: str
    agent: str
    key: Any
    what: msgspec.Raw
    who: str
    asked_us: int
    until_us: int | None
    otherwise: bool


def pending_approvals(fold: Fold) -> list[PendingApproval]:
    """All questions to persons that wait, the oldest first."""
    found = [_pending(turn, place) for turn, place in _waiting(fold)]
    return sorted(found, key=lambda one: (one.asked_us, one.id))


def decide(engine: Engine, name: str, answer: Approval) -> PendingApproval:
    """Answers the question of this name: its id, or that of its turn, or `agent:key`, where it is the only one.

    An engine that does not act remembers the answer; the turn goes on when one does. Raises `DeclarationError` where
    nobody asks, or several do.
    """
    waiting = [(turn, place) for turn, place in _waiting(engine.shard.fold) if name in _names(turn, place)]
    if len(waiting) != 1:
        ids = ", ".join(f"`{_id(turn, place)}`" for turn, place in waiting)
        raise DeclarationError(
            f"`{name}` waits for several approvals; name one: {ids}."
            if waiting
            else f"Nobody waits for an approval of `{name}`. To see who does: extrovert approvals"
        )
    ((turn, place),) = waiting
    pending = _pending(turn, place)
    raw = msgspec.Raw(canonical(answer))
    if engine.settings.acting:
        engine.turning.answer(turn.id, place, raw)
        engine.nudge()
    else:
        engine.turning.remember(turn, place, raw)
    return pending


def _waiting(fold: Fold) -> list[tuple[Running, Place]]:
    return [
        (turn, place)
        for turn in fold.running.values()
        for place, (sent, _) in turn.calls.items()
        if sent.kind == "approval"
    ]


def _pending(turn: Running, place: Place) -> PendingApproval:
    sent, asked_us = turn.calls[place]
    asked = _asked.decode(sent.request)
    return PendingApproval(
        _id(turn, place),
        turn.id,
        turn.agent.name,
        turn.key,
        asked.what,
        asked.who,
        asked_us,
        asked.until_us,
        asked.otherwise,
    )


def _id(turn: Running, place: Place) -> str:
    return f"{turn.id}/{place[0][:6]}{place[1] or ''}"


def _names(turn: Running, place: Place) -> tuple[str, ...]:
    return _id(turn, place), turn.id, f"{turn.agent.name}:{turn.key}"
