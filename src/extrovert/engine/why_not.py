"""Why not: why an agent has no turn about a key now, or what its turn waits for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from extrovert.core.record import Record
from extrovert.core.time import from_us
from extrovert.turns.declare import Agent
from extrovert.turns.fold import Fold
from extrovert.turns.request import Place
from extrovert.turns.running import Running
from extrovert.turns.spending import Hold
from extrovert.turns.waits import ApprovalAsked, Awaited, Sleep
from extrovert.turns.wakes import WakeBook

__all__ = ["Because", "key_of", "why_not"]


class Because(Record, tag="because"):
    """How it stands with an agent and a key: `state` is running (a turn waits, or works), due (a wake waits) or idle,
    and `because` says why, a sentence each. `turn` is the turn that runs."""

    agent: str
    key: Any
    state: str
    because: list[str]
    turn: str = ""


def why_not(
    fold: Fold, agent: Agent[Any], text: str, now_us: int, *, acting: bool, hold: Hold | None = None
) -> Because:
    """Why the agent has no turn about the key that is written as `text`. With `acting`, the engine runs turns; `hold`
    is what holds up the first of the agent's asks."""
    book = fold.books[agent.name]
    key = key_of(fold, agent, book, text)
    turn = next((one for one in fold.running.values() if one.agent is agent and one.key == key), None)
    rest = [] if acting else ["The app does not run; it goes on when it does: extrovert run"]
    if turn is not None:
        return Because(agent.name, key, "running", [*_running(fold, turn), *_held_up(fold, turn, hold), *rest], turn.id)
    if key in book.due:
        return Because(agent.name, key, "due", [*_due(book, key, now_us), *rest])
    return Because(agent.name, key, "idle", [_idle(fold, agent, book, key)])


def key_of(fold: Fold, agent: Agent[Any], book: WakeBook, text: str) -> Any:
    """A key as the agent has it: text, or a whole number."""
    known = next((key for key in (*book.running, *book.due, *book.events, *book.seen) if str(key) == text), None)
    if known is not None or agent.source == "stream":
        return text if known is None else known
    table = fold.context.views[agent.on].table if agent.source == "view" else fold.context.tables[agent.on]
    try:
        return msgspec.convert(text, table.declared.key_type, strict=False)
    except msgspec.ValidationError:
        return text


# ---- a turn runs


def _running(fold: Fold, turn: Running) -> Iterator[str]:
    """What a turn waits for."""
    if turn.retry_at_us is not None:
        yield f"It has failed {_times(turn.failures)}, and is tried again at {_moment(turn.retry_at_us)}."
    if turn.silent:
        silent = (f"`{stream}`, which was {_heard(fold, stream)}" for stream in turn.silent)
        yield (
            f"What it reads is older than it may be (fresh_within=), so it is held until it hears of the sources of "
            f"stream {'; and stream '.join(silent)}: extrovert freshness"
        )
    if turn.held:
        yield "The world has disturbed it too often, and a person is to say whether it may go on: extrovert approvals"
    for place, (_, sent_us) in turn.calls.items():
        if not turn.held:
            yield f"Since {_moment(sent_us)} it waits {_waits(turn, place)}."
    if turn.reruns:
        latest = f", the latest of {next(reversed(turn.changes))}" if turn.changes else ""
        yield f"It has asked anew {_times(turn.reruns)} because of changes{latest}."


def _held_up(fold: Fold, turn: Running, hold: Hold | None) -> Iterator[str]:
    """That what a turn asks is not sent yet, because of a limit or a breaker."""
    asks = [place for place, (sent, _) in turn.calls.items() if sent.kind == "ask"]
    if hold is not None and any(fold.spending.in_flight(turn.id, place) is None for place in asks):
        yield f"What it asks is not sent yet: it waits for {hold.why}{_until(hold.until_us)} (extrovert inspect)."


def _heard(fold: Fold, stream: str) -> str:
    heard_us = fold.context.freshness.state(stream).heard_us
    return "never heard" if heard_us is None else f"last heard at {_moment(heard_us)}"


def _waits(turn: Running, place: Place) -> str:
    sent, _ = turn.calls[place]
    match sent.kind:
        case "sleep":
            return f"until {_moment(msgspec.json.decode(sent.request, type=Sleep).until_us)}"
        case "next":
            wait = msgspec.json.decode(sent.request, type=Awaited)
            key = "" if wait.key is None else f" of `{wait.key}`"
            return f"for an event{key} on stream `{wait.stream}`{_until(wait.until_us)}"
        case "approval":
            asked = msgspec.json.decode(sent.request, type=ApprovalAsked)
            who = asked.who or "anybody"
            return f"for an approval by {who}{_until(asked.until_us)} (extrovert approvals)"
        case "call":
            return f"for what `{sent.model}` returns"
        case _:
            return f"for an answer of `{sent.model}`"


def _until(until_us: int | None) -> str:
    return "" if until_us is None else f", until {_moment(until_us)}"


# ---- a wake is due


def _due(book: WakeBook, key: Any, now_us: int) -> Iterator[str]:
    """What holds a wake up."""
    wake, agent = book.due[key], book.agent
    yield f"A change of `{wake.on}` has woken it at {_moment(wake.at_us)} (offset {wake.offset})."
    resting_us, settling_us = book.resting.get(key, 0), book.settling.get(key, 0)
    if resting_us > now_us:
        yield f"After its latest turn the key is left alone until {_moment(resting_us)} (rest=)."
    if settling_us > now_us:
        yield f"It waits for the changes to calm down, until {_moment(settling_us)} or later (quiet=, max_wait=)."
    if book.room <= 0:
        order = "its order, then by age" if agent.order else "age"
        yield f"It has no more than {agent.concurrency} at a time (concurrency=); {len(book.due)} wait, by {order}."


# ---- nothing is due


def _idle(fold: Fold, agent: Agent[Any], book: WakeBook, key: Any) -> str:
    """Why there is nothing to wake for."""
    if agent.source == "stream":
        unless = " for which its when= holds" if agent.when else ""
        return f"No event under this key{unless} has come on stream `{agent.on}` that it has not seen."
    what = f"{agent.source} `{agent.on}`"
    if agent.source == "view":
        view = fold.context.views[agent.on]
        wrong = view.quarantined()
        cause = next((wrong[one] for one in (key, str(key), f"{view.declared.over}/{key}") if one in wrong), None)
        if cause is not None:
            return f"The {what} has no value for it, since it raised: {cause}"
        if key not in view.table.rows and view.made is None:
            return f"The table `{view.table.declared.name}`, which {what} is over, has no row `{key}`."
    value, version = fold.present(agent, key)
    if value is None and agent.declines_none:
        none = "gives None for it" if agent.source == "view" else f"has no row `{key}`"
        return f"The {what} {none}, and its parameter does not accept None."
    if value is not None and not book.wants(value):
        return f"Its when= does not hold for what {what} has now (offset {version})."
    return f"What {what} has now (offset {version}) is what its latest turn has seen."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _moment(at_us: int) -> str:
    return f"{from_us(at_us):%Y-%m-%d %H:%M:%S} UTC"
