"""Spending: what the asks of each account take, in the last minute and the last hour, as the log tells it.

An account is a model or an agent that has limits. An ask counts from the moment at which it is sent for exactly a
minute (itself, its tokens) and an hour (its money): first with the most that it can take, then with what it took. What
nobody ever told stays counted in full. So whatever span of a minute or an hour one looks at, what was sent in it is
within the limits, unless a provider takes more than the most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

import msgspec

from extrovert.core.log import Admitted, Unanswered, Usage
from extrovert.turns.breaking import Circuit, CircuitState
from extrovert.turns.limits import HOUR_US, MINUTE_US, Breaker, Limits, Need
from extrovert.turns.request import Place

__all__ = ["Account", "Charge", "Hold", "Spending", "SpendingState"]


class Charge(msgspec.Struct):
    """What one ask takes of its accounts; `offset` is that of its entry."""

    offset: int
    at_us: int
    model: str
    accounts: list[str]
    tokens: int
    nano_usd: int


class _OpenCharge(msgspec.Struct):
    turn: str
    hash: str
    occurrence: int
    offset: int


class SpendingState(msgspec.Struct):
    """The spending in a snapshot."""

    charges: list[Charge] = []
    open: list[_OpenCharge] = []
    paused: dict[str, int] = {}
    circuits: dict[str, CircuitState] = {}


class Hold(NamedTuple):
    """Why an ask cannot be sent now: `why`, as words that follow "waits for", and until when, where time decides that.

    `limit` where it is over a limit, and `never` where it would be over it for ever.
    """

    why: str
    until_us: int | None
    limit: bool = True
    never: bool = False


class Account:
    """What one model or agent takes: `calls` are its asks in flight. Until `paused_us` it wants no more of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.tokens = 0
        self.nano_usd = 0
        self.paused_us = 0
        self.minute: deque[Charge] = deque()
        self.hour: deque[Charge] = deque()
        self._past_us = 0

    def add(self, charge: Charge) -> None:
        self.pass_until(charge.at_us)
        self.minute.append(charge)
        self.tokens += charge.tokens
        if charge.nano_usd:
            self.hour.append(charge)
            self.nano_usd += charge.nano_usd

    def pass_until(self, now_us: int) -> None:
        """What counted until `now_us` does not count any more."""
        self._past_us = max(self._past_us, now_us)
        while self.minute and self.minute[0].at_us + MINUTE_US <= self._past_us:
            self.tokens -= self.minute.popleft().tokens
        while self.hour and self.hour[0].at_us + HOUR_US <= self._past_us:
            self.nano_usd -= self.hour.popleft().nano_usd

    def settle(self, charge: Charge, tokens: int, nano_usd: int) -> None:
        """`charge` is about to be so much."""
        if charge.at_us + MINUTE_US > self._past_us:
            self.tokens += tokens - charge.tokens
        if charge.nano_usd and charge.at_us + HOUR_US > self._past_us:
            self.nano_usd += nano_usd - charge.nano_usd

    def hold(self, limits: Limits, need: Need, now_us: int) -> Hold | None:
        """Why an ask of that need may not be sent now; None where it may."""
        self.pass_until(now_us)
        if limits.calls is not None and self.calls >= limits.calls:
            return Hold(f"{limits.calls:,} calls at a time of {self.name}", None)
        if (most := limits.requests_per_minute) is not None and len(self.minute) >= most:
            why = f"{most:,} requests a minute of {self.name}"
            return Hold(why, self.minute[len(self.minute) - most].at_us + MINUTE_US)
        if (most := limits.tokens_per_minute) is not None and self.tokens + need.tokens > most:
            why = f"{most:,} tokens a minute of {self.name}"
            frees = ((charge.at_us + MINUTE_US, charge.tokens) for charge in self.minute)
            return _until(why, need.tokens - most, self.tokens + need.tokens - most, frees)
        if (most := limits.nano_usd_per_hour) is not None and self.nano_usd + need.nano_usd > most:
            why = f"{limits.usd_per_hour} USD an hour of {self.name}"
            frees = ((charge.at_us + HOUR_US, charge.nano_usd) for charge in self.hour)
            return _until(why, need.nano_usd - most, self.nano_usd + need.nano_usd - most, frees)
        return None


def _until(why: str, beyond: int, over: int, frees: Iterator[tuple[int, int]]) -> Hold:
    """Held until so much has gone that it is not `over` any more; for ever where the need alone is `beyond` it."""
    if beyond > 0:
        return Hold(why, None, never=True)
    for free_us, amount in frees:
        over -= amount
        if over <= 0:
            return Hold(why, free_us)
    raise AssertionError("an account counts more than its charges")


class Spending:
    """The accounts of all models and agents, the circuits of models with a breaker, and the asks in flight."""

    def __init__(self, breakers: Mapping[str, Breaker] | None = None) -> None:
        self.accounts: dict[str, Account] = {}
        self.circuits = {name: Circuit(breaker) for name, breaker in (breakers or {}).items()}
        self.open: dict[str, dict[Place, Charge]] = {}

    def account(self, name: str) -> Account:
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = Account(name)
        return found

    # ---- what the log tells

    def admitted(self, body: Admitted, offset: int, at_us: int) -> None:
        """An ask is sent; one that was sent before, by an engine that has died, is charged in full."""
        place = (body.hash, body.occurrence)
        self._close(body.turn, place, at_us, None)
        charge = Charge(offset, at_us, body.model, body.accounts, body.tokens, body.cost_nano_usd)
        self._open(body.turn, place, charge)
        for name in charge.accounts:
            self.account(name).add(charge)
        if body.model in self.circuits:
            self.circuits[body.model].sent((body.turn, place))

    def answered(self, turn: str, place: Place, usage: Usage | None, at_us: int) -> None:
        """An ask has its answer, and took what `usage` says."""
        charge = self._close(turn, place, at_us, True)
        if charge is not None and usage is not None:
            tokens = usage.input_tokens + usage.output_tokens
            self._settle(charge, tokens, charge.nano_usd if usage.cost_nano_usd is None else usage.cost_nano_usd)

    def unanswered(self, body: Unanswered, at_us: int) -> None:
        """An ask has ended with an error."""
        charge = self._close(body.turn, (body.hash, body.occurrence), at_us, False if body.breaks else None)
        if charge is None:
            return
        if body.free:
            self._settle(charge, 0, 0)
        if body.until_us is not None:
            account = self.account(charge.model)
            account.paused_us = max(account.paused_us, body.until_us)

    def left(self, turn: str, still: Container[Place], at_us: int) -> None:
        """Of what the turn has in flight, nobody waits any more for what is not in `still`: it is charged in full."""
        if turn in self.open:
            for place in [place for place in self.open[turn] if place not in still]:
                self._close(turn, place, at_us, None)

    def _open(self, turn: str, place: Place, charge: Charge) -> None:
        self.open.setdefault(turn, {})[place] = charge
        for name in charge.accounts:
            self.account(name).calls += 1

    def _close(self, turn: str, place: Place, at_us: int, good: bool | None) -> Charge | None:
        charge = self.open.get(turn, {}).pop(place, None)
        if charge is None:
            return None
        if not self.open[turn]:
            del self.open[turn]
        for name in charge.accounts:
            self.account(name).calls -= 1
        circuit = self.circuits.get(charge.model)
        if circuit is not None:
            slow_us = circuit.breaker.slow_us
            late = good is True and slow_us is not None and at_us - charge.at_us > slow_us
            circuit.ended((turn, place), at_us, False if late else good)
        return charge

    def _settle(self, charge: Charge, tokens: int, nano_usd: int) -> None:
        nano_usd = nano_usd if charge.nano_usd else 0  # without a price it has no place in the hour
        for name in charge.accounts:
            self.account(name).settle(charge, tokens, nano_usd)
        charge.tokens, charge.nano_usd = tokens, nano_usd

    # ---- looking

    def in_flight(self, turn: str, place: Place) -> Charge | None:
        """The charge of an ask that is in flight, as far as the log tells."""
        return self.open.get(turn, {}).get(place)

    def closed_to(self, model: str, now_us: int) -> Hold | None:
        """Why a model is not to be asked now: its breaker is open, or it wants to be left alone."""
        circuit = self.circuits.get(model)
        if circuit is not None and not circuit.lets_through(now_us):
            return Hold(f"the breaker of {model}", circuit.next_us(), limit=False)
        account = self.accounts.get(model)
        if account is not None and account.paused_us > now_us:
            return Hold(f"{model}, which has asked to be left alone", account.paused_us)
        return None

    # ---- snapshots

    def save(self, now_us: int) -> SpendingState:
        """All that still counts at `now_us`."""
        charges: dict[int, Charge] = {}
        for account in self.accounts.values():
            account.pass_until(now_us)
            charges.update((charge.offset, charge) for charge in account.minute)
            charges.update((charge.offset, charge) for charge in account.hour if charge.nano_usd)
        charges.update((charge.offset, charge) for asks in self.open.values() for charge in asks.values())
        return SpendingState(
            [msgspec.structs.replace(charges[offset]) for offset in sorted(charges)],
            [
                _OpenCharge(turn, *place, charge.offset)
                for turn, asks in self.open.items()
                for place, charge in asks.items()
            ],
            {name: account.paused_us for name, account in self.accounts.items() if account.paused_us > now_us},
            {name: circuit.save() for name, circuit in self.circuits.items()},
        )

    def load(self, state: SpendingState, now_us: int) -> None:
        """Takes up a snapshot, in place of nothing."""
        charges = {charge.offset: charge for charge in state.charges}
        for charge in state.charges:
            for name in charge.accounts:
                self.account(name).add(charge)
        for account in self.accounts.values():
            account.pass_until(now_us)
        for one in state.open:
            self._open(one.turn, (one.hash, one.occurrence), charges[one.offset])
        for name, paused_us in state.paused.items():
            self.account(name).paused_us = paused_us
        for name, circuit in state.circuits.items():
            if name in self.circuits:
                self.circuits[name].load(circuit)
