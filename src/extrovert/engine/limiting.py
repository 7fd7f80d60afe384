"""Limiting: which asks are sent now, within the limits of models and agents, and which wait or go to a fallback.

What waits is served by deadline, then by priority, then by age. Nobody overtakes: as long as an ask waits for a model,
later ones wait for it too, however small they are. An ask that waits for its own agent's limits holds up no others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

import msgspec

from extrovert.core.errors import PermanentError, TransientError
from extrovert.core.log import Admitted, Unanswered
from extrovert.core.time import span_us
from extrovert.engine.bounding import deadline_us
from extrovert.engine.shard import Call, Shard
from extrovert.turns.declare import Agent, Model, Policy
from extrovert.turns.limits import Limits, Need, worst_case
from extrovert.turns.running import Running
from extrovert.turns.spending import Hold

__all__ = ["Admission", "Limiting"]

_Order = tuple[Any, ...]
NO_LIMITS = Limits()
NEVER = 1 << 62


class Admission(NamedTuple):
    """A call that may be sent when the log is durable up to `offset`."""

    call: Call
    offset: int


class _Candidate(NamedTuple):
    """What may answer: under which name, in which account that counts, and the limits that hold for it, by account."""

    name: str
    account: str
    model: Model | None
    limits: dict[str, Limits]


class Limiting:
    """The asks of one shard that have limits. `timed` says whether a call is answered in engine time, by nothing
    outside; `wanted` whether anybody waits for it still. `holds` has why the first ask of an agent waits."""

    def __init__(
        self,
        shard: Shard,
        models: Mapping[str, Model],
        timed: Callable[[Call], bool],
        wanted: Callable[[Call], bool],
    ) -> None:
        self.shard = shard
        self.spending = shard.fold.spending
        self.holds: dict[str, Hold] = {}
        self._timed = timed
        self._wanted = wanted
        self._chains = {
            (agent.name, model): _chain(agent, model, models)
            for agent in shard.fold.agents.values()
            for model in (agent.model, agent.stale_fallback.model)
            if not model.startswith("learner:")
        }
        self._lines: dict[str, list[tuple[_Order, int, Call]]] = {}
        self._number = 0
        self._next_us: int | None = None

    def recover(self) -> None:
        """After a replay: of what was in flight, only what takes engine time goes on, where a turn has asked it again.

        A real request is lost with the life that sent it: it takes no one's place, and is admitted, and charged, once
        more.
        """
        goes_on = {(call.turn, call.place) for call in self.shard.calls if self._going_on(call) is not None}
        for turn, places in list(self.spending.open.items()):
            self.spending.left(turn, [place for place in places if (turn, place) in goes_on], self.shard.now_us)

    def next_us(self) -> int | None:
        """When the next ask that waits can be sent, as far as time decides that."""
        return self._next_us

    @property
    def accounts(self) -> dict[str, Limits]:
        """All accounts, with their limits."""
        chains = (candidate.limits for chain in self._chains.values() for candidate in chain)
        return {account: limits for found in chains for account, limits in found.items()}

    # ---- in and out

    def limits(self, call: Call) -> bool:
        """Whether the call has limits. A learner has none."""
        chain = self._chains.get((call.agent, call.request.model))
        return call.request.kind == "ask" and chain is not None and bool(chain[0].limits)

    def waits(self, turn: Running) -> bool:
        """Whether the turn has asked what is not sent yet, since there is no room for it."""
        asks = [(place, sent.model) for place, (sent, _) in turn.calls.items() if sent.kind == "ask"]
        chains = [(place, self._chains.get((turn.agent.name, model))) for place, model in asks]
        return any(chain and chain[0].limits and not self.spending.in_flight(turn.id, place) for place, chain in chains)

    def add(self, call: Call) -> Call | None:
        """Takes a call in. Gives it back where it was admitted in an earlier life, and goes on as if nothing was."""
        if (going_on := self._going_on(call)) is not None:
            return going_on
        self._number += 1
        order = _order(self.shard.fold.running[call.turn], call)
        heappush(self._lines.setdefault(call.agent, []), (order, self._number, call))
        return None

    def admitted(self) -> list[Admission]:
        """Takes the calls that may be sent now; this is logged. One that can never be sent comes with its error."""
        found: list[Admission] = []
        shut: dict[str, Hold] = {}
        heads = [head for agent in list(self._lines) if (head := self._head(agent)) is not None]
        heapify(heads)
        self._next_us = None
        while heads:
            _, agent = heappop(heads)
            call = self._lines[agent][0][-1]
            admission = self._try(call, shut)
            if admission is None:
                continue
            heappop(self._lines[agent])
            found.append(admission)
            if (head := self._head(agent)) is not None:
                heappush(heads, head)
        return found

    def failed(self, call: Call, error: Exception) -> None:
        """A call that was admitted has ended with an error: this is logged."""
        if self.spending.in_flight(call.turn, call.place) is None:
            return
        wait_s = error.retry_after_s if isinstance(error, TransientError) else None
        now_us = self.shard.now_us
        body = Unanswered(
            call.turn,
            *call.place,
            free=getattr(error, "free", False),
            breaks=not isinstance(error, PermanentError),
            until_us=None if wait_s is None else now_us + span_us(wait_s),
        )
        self.shard.log(body, lambda _offset: self.spending.unanswered(body, now_us))

    # ---- deciding

    def _going_on(self, call: Call) -> Call | None:
        """The call as it was admitted in an earlier life, where it goes on: a policy's thought is no request."""
        charge = self.spending.in_flight(call.turn, call.place)
        if charge is None:
            return None
        admitted = msgspec.structs.replace(call, to=charge.model, begun_us=charge.at_us)
        return admitted if self._timed(admitted) else None

    def _head(self, agent: str) -> tuple[_Order, str] | None:
        """The first of an agent's calls that anybody waits for."""
        line = self._lines[agent]
        while line and not self._wanted(line[0][-1]):
            heappop(line)
        if not line:
            del self._lines[agent]
            self.holds.pop(agent, None)
            return None
        return line[0][0], agent

    def _try(self, call: Call, shut: dict[str, Hold]) -> Admission | None:
        """Admits the call to the first candidate that has room for it; None where it waits, before all `shut` ones."""
        held: list[tuple[_Candidate, list[tuple[str, Hold]]]] = []
        for candidate in self._chains[call.agent, call.request.model]:
            need = Need() if candidate.model is None else worst_case(candidate.model, call.request)
            holds = self._holds(candidate, call, need, shut)
            if not holds:
                return self._admit(call, candidate, need, held[0][1][0][1].why if held else "")
            held.append((candidate, holds))
            if not all(_goes_on(candidate, account, hold) for account, hold in holds):
                break
        waits = [(one, holds) for one, holds in held if not any(hold.never for _, hold in holds)]
        if not waits:
            return self._refuse(call, held[-1][1])
        for candidate, holds in waits:
            shut.update((account, hold) for account, hold in holds if account == candidate.account)
        moments = [hold.until_us for _, holds in waits for _, hold in holds if hold.until_us is not None]
        self._next_us = min([*moments, *([] if self._next_us is None else [self._next_us])], default=None)
        self.holds[call.agent] = waits[0][1][0][1]
        return None

    def _holds(self, candidate: _Candidate, call: Call, need: Need, shut: Mapping[str, Hold]) -> list[tuple[str, Hold]]:
        """What holds the call up at a candidate, by account."""
        now_us = self.shard.now_us
        if candidate.account in shut:
            return [(candidate.account, shut[candidate.account])]
        closed = self.spending.closed_to(candidate.name, now_us)
        if closed is not None:
            return [(candidate.account, closed)]
        found: list[tuple[str, Hold]] = []
        for account, limits in candidate.limits.items():
            hold = self.spending.account(account).hold(limits, need, now_us)
            if hold is not None:
                found.append((account, hold))
        return found

    def _admit(self, call: Call, candidate: _Candidate, need: Need, why: str) -> Admission:
        now_us, offset = self.shard.now_us, self.shard.fold.end
        waited = self.holds.get(call.agent) if call.at_us < now_us else None
        body = Admitted(
            call.turn,
            *call.place,
            model=candidate.name,
            accounts=list(candidate.limits),
            tokens=need.tokens,
            cost_nano_usd=need.nano_usd,
            why=why,
            waited_for="" if waited is None else waited.why,
        )
        self.shard.log(body, lambda offset: self.shard.fold.admitted(body, offset, now_us))
        return Admission(msgspec.structs.replace(call, to=candidate.name, begun_us=now_us), offset)

    def _refuse(self, call: Call, holds: list[tuple[str, Hold]]) -> Admission:
        """The call can never be sent, whatever is left of the limit."""
        why = next(hold.why for _, hold in holds if hold.never)
        error = PermanentError(
            f"Agent `{call.agent}` asked for what can take more than {why}. Ask less, give a smaller max_tokens=, or "
            f"raise the limit."
        )
        return Admission(msgspec.structs.replace(call, begun_us=self.shard.now_us, error=error), 0)


def _goes_on(candidate: _Candidate, account: str, hold: Hold) -> bool:
    """Whether a call that is held up there goes to the next candidate."""
    return hold.never or not hold.limit or candidate.limits.get(account, NO_LIMITS).over == "fallback"


def _order(turn: Running, call: Call) -> _Order:
    deadline = deadline_us(turn)
    urgency = NEVER if deadline is None else deadline
    return (urgency, -turn.agent.priority, turn.wake.at_us, turn.wake.offset, turn.id, call.place)


def _chain(agent: Agent[Any], name: str, models: Mapping[str, Model]) -> list[_Candidate]:
    """What may answer an agent's asks of a model: that, then the fallback of that, and so on.

    A policy in a model's place takes nothing, so that no limits hold for it. Shadows have accounts of their own, with
    the limits of the model over again, so that they take nothing from those who act.
    """
    own = {} if agent.limits is None else {f"agent:{agent.name}": agent.limits}
    found: list[_Candidate] = []
    one = models.get(name)
    while True:
        if isinstance(one, Policy):
            found.append(_Candidate(name, name, None, {}))
            return found
        account = f"{name} (shadows)" if agent.shadow else name
        limits = dict(own)
        if one is not None and (one.limits is not None or one.breaker is not None):
            limits = {account: one.limits or NO_LIMITS, **own}
        found.append(_Candidate(name, account, one, limits))
        if one is None or one.fallback is None:
            return found
        one = one.fallback
        name = f"{'policy' if isinstance(one, Policy) else 'model'}:{one.name}"
