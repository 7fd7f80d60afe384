"""Budgets under audit: what asks reserve, take and leave, counted anew from the log, and what is really asked.

It knows nothing of how the engine counts. It knows which limits the plan has drawn, and what an answer takes at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from extrovert import Limits
from tests.sim.bounds import MOST_NANO_USD, MOST_TOKENS
from tests.sim.plan import Plan

__all__ = ["Budgets"]

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
Place = tuple[str, int]


class _Ask:
    """An ask that was sent: what it takes, and from which place in the log to which it was in flight.

    With the life that has sent it, it was perhaps lost.
    """

    def __init__(self, accounts: list[str], at_us: int, begins: int, tokens: int, nano_usd: int) -> None:
        self.accounts = accounts
        self.at_us = at_us
        self.begins = begins
        self.tokens = tokens
        self.nano_usd = nano_usd
        self.lost: int | None = None
        self.ends: int | None = None


class Budgets:
    """All asks of a plan's life. `wrong(invariant, where)` is told what does not hold; `met` what limits did."""

    def __init__(self, plan: Plan, wrong: Callable[[str, str], None]) -> None:
        self.wrong = wrong
        self.met: set[str] = set()
        self._limits: dict[str, Limits] = {f"model:{one.name}": one.limits for one in plan.models}
        owns = {f"agent:agent{number}": program.own for number, program in enumerate(plan.programs)}
        self._limits |= {name: own for name, own in owns.items() if own is not None}
        self._sent: list[_Ask] = []
        self._by_account: defaultdict[str, list[_Ask]] = defaultdict(list)
        self._asked: defaultdict[str, dict[Place, tuple[str, str]]] = defaultdict(dict)
        self._open: defaultdict[str, dict[Place, _Ask]] = defaultdict(dict)
        self._reserved: set[tuple[str, str]] = set()

    # ---- the log

    def reopened(self, end: int) -> None:
        """A new life begins where the log ends: what was in flight is lost, if it does not go on."""
        for asks in self._open.values():
            for ask in asks.values():
                ask.lost = end if ask.lost is None else ask.lost

    def attempted(self, body: dict[str, Any], offset: int) -> None:
        turn, cancelled = body["turn"], body.get("cancelled", ())
        for place in [place for place in self._asked[turn] if place[0] in cancelled]:
            self._left(turn, place, offset)
        for ask in body.get("asks", ()):
            if ask.get("kind", "ask") == "ask":
                self._asked[turn][ask["hash"], ask["occurrence"]] = (ask["model"], ask["request"])

    def admitted(self, body: dict[str, Any], offset: int, at_us: int) -> None:
        """An ask is sent: with it, all accounts are within their limits."""
        turn, place, model = body["turn"], (body["hash"], body["occurrence"]), body["model"]
        asked, about = self._asked[turn].get(place, ("", ""))
        if not asked:
            self.wrong("budgets", f"{turn} has nothing to send to {model}")
            return
        rules = model != asked and model.startswith("policy:")
        names = (model, f"agent:{turn.partition(':')[0]}")
        accounts = [] if rules else [name for name in names if name in self._limits]
        most = (MOST_TOKENS, MOST_NANO_USD) if model.startswith("model:") else (0, 0)
        told = (body.get("tokens", 0), body.get("cost_nano_usd", 0))
        if sorted(accounts) != sorted(body["accounts"]) or told != most:
            self.wrong("budgets", f"{turn} reserves {told} of {body['accounts']} and not {most} of {accounts}")
        self._ends(turn, place, offset)
        ask = self._open[turn][place] = _Ask(accounts, at_us, offset, *most)
        self._sent.append(ask)
        self._reserved.add((model, about))
        for account in accounts:
            self._by_account[account].append(ask)
            self._within(account, at_us)
        self._note(body)

    def answered(self, body: dict[str, Any], offset: int) -> None:
        turn, place, usage = body["turn"], (body["hash"], body["occurrence"]), body.get("usage")
        ask = self._open[turn].get(place)
        asked, _ = self._asked[turn].get(place, ("", ""))
        limited = {asked, f"agent:{turn.partition(':')[0]}"} & self._limits.keys() if asked else ()
        if ask is None and limited:
            self.wrong("budgets", f"{turn} has an answer of {asked}, and nothing was reserved")
        if ask is not None and usage is not None:
            taken = (usage.get("input_tokens", 0) + usage.get("output_tokens", 0), usage["cost_nano_usd"])
            if taken > (ask.tokens, ask.nano_usd):
                self.wrong("budgets", f"{turn} reserved {(ask.tokens, ask.nano_usd)} and took {taken}")
            ask.tokens, ask.nano_usd = taken
        self._ends(turn, place, offset, went_on=True)
        self._asked[turn].pop(place, None)

    def unanswered(self, body: dict[str, Any], offset: int) -> None:
        place = (body["hash"], body["occurrence"])
        ask = self._open[body["turn"]].get(place)
        if ask is None:
            self.wrong("budgets", f"{body['turn']} has an error of what was not sent")
        elif body.get("free"):
            ask.tokens = ask.nano_usd = 0
        self._ends(body["turn"], place, offset, went_on=True)

    def ended(self, turn: str, offset: int) -> None:
        """A turn has come to its end, or an attempt of it has failed: it waits for nothing any more."""
        for place in list(self._asked[turn]):
            self._left(turn, place, offset)

    def _left(self, turn: str, place: Place, offset: int) -> None:
        del self._asked[turn][place]
        self._ends(turn, place, offset)

    def _ends(self, turn: str, place: Place, offset: int, *, went_on: bool = False) -> None:
        """An ask is not in flight any more; one that was lost with its life has not been since then."""
        ask = self._open[turn].pop(place, None)
        if ask is not None:
            ask.ends = offset if went_on or ask.lost is None else ask.lost

    def _within(self, account: str, at_us: int) -> None:
        limits, asks = self._limits[account], self._by_account[account]
        minute = [ask for ask in asks if at_us - ask.at_us < MINUTE_US]
        hour = [ask for ask in asks if at_us - ask.at_us < HOUR_US]
        taken = (
            ("requests a minute", len(minute), limits.requests_per_minute),
            ("tokens a minute", sum(ask.tokens for ask in minute), limits.tokens_per_minute),
            ("billionths of a USD an hour", sum(ask.nano_usd for ask in hour), limits.nano_usd_per_hour),
        )
        for what, much, most in taken:
            if most is not None and much > most:
                self.wrong("budgets", f"{much:,} {what} of {account}, which allows {most:,}")

    def _note(self, body: dict[str, Any]) -> None:
        words = ("calls", "requests", "tokens", "USD", "breaker", "left alone")
        self.met |= {f"waited: {word}" for word in words if word in body.get("waited_for", "")}
        self.met |= {f"fallback: {word}" for word in words if word in body.get("why", "")}

    # ---- what is really asked

    def sending(self, model: str, about: str, at_a_time: int) -> None:
        """A model is asked something; with that, so many calls of one life are in flight there."""
        limits = self._limits.get(model)
        if limits is None:
            return
        if (model, about) not in self._reserved:
            self.wrong("budgets", f"{model} is asked, and the disk does not say that anything is reserved")
        if limits.calls is not None and at_a_time > limits.calls:
            self.wrong("calls at a time", f"{model} has {at_a_time} calls, and allows {limits.calls}")

    # ---- in the end

    def finished(self) -> None:
        """Nothing is in flight, and of no account was too much at any place in the log."""
        for turn, asks in self._open.items():
            for ask in asks.values():
                ask.ends = ask.begins
                self.wrong("budgets", f"an ask of {turn}, sent at offset {ask.begins}, has no end")
        for account, asks in self._by_account.items():
            most = self._limits[account].calls
            steps = sorted(step for ask in asks for step in ((ask.begins, 1), (ask.ends or ask.begins, -1)))
            now = 0
            for offset, step in sorted(steps):
                now += step
                if most is not None and now > most:
                    self.wrong("calls at a time", f"{now} asks of {account} at offset {offset}, and {most} are allowed")
