"""Prompting: what an agent would ask about a key now, without asking it.

An attempt is run over the present context, as when its wake came now, or as its running turn would be run again. What
it wants to ask is shown; nothing of it is sent, logged or kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec

from extrovert.core.ids import canonical
from extrovert.core.log import Lines, Wake
from extrovert.core.record import Record
from extrovert.core.typed import typed
from extrovert.engine.shard import Shard
from extrovert.engine.telling import clean
from extrovert.engine.why_not import key_of
from extrovert.turns.allowed import allowed_us, said_of, too_old
from extrovert.turns.attempt import Attempt
from extrovert.turns.declare import Agent
from extrovert.turns.exchange import Exchange
from extrovert.turns.given import scope_of, turn_of, value_of, wanted
from extrovert.turns.prompt import estimated
from extrovert.turns.request import Request
from extrovert.turns.running import Running

__all__ = ["Pairs", "Wish", "WouldAsk", "would_ask"]

Pairs = list[tuple[int, Any]]
"""Events with their offsets."""


class Wish(Record):
    """What would be asked: of whom, with which instructions, as which text, for an answer of which schema.

    `kind` is ask, or what is waited for: call, sleep, next or approval. `exchange` has the calls of `tools` so far.
    `tokens` is about how many the prompt is, with all that; `text_tokens` those of its text alone, as the prompt itself
    counts. `lines` says where its lines come from, `left_out` how many facts of which section do not fit in its budget.
    `facts` is what a policy is given that answers in the model's place.
    """

    kind: str
    model: str
    about: msgspec.Raw
    schema: msgspec.Raw
    instructions: str = ""
    tools: msgspec.Raw = msgspec.Raw(b"null")
    exchange: list[Exchange] = []
    refused: list[str] = []
    tokens: int = 0
    text_tokens: int = 0
    lines: list[Lines] = []
    left_out: dict[str, int] = {}
    facts: msgspec.Raw = msgspec.Raw(b"null")
    in_flight: bool = False


class WouldAsk(Record, tag="would_ask"):
    """What an agent would ask about a key now: several wishes are asked at the same time. `because` says what the rest
    hangs on, or why there is none, a sentence each. `turn` is the turn that runs, of which `answers` are there."""

    agent: str
    key: Any
    wishes: list[Wish]
    because: list[str]
    turn: str = ""
    answers: int = 0


def would_ask(shard: Shard, agent: Agent[Any], text: str, latest: Callable[[Any], Pairs]) -> WouldAsk:
    """What the agent would ask about the key that is written as `text`. `latest` gives the events of a key that its
    latest turn saw, as far as they are known."""
    fold = shard.fold
    key = key_of(fold, agent, fold.books[agent.name], text)
    running = next((one for one in fold.running.values() if one.agent is agent and one.key == key), None)
    turn, because = _as_running(running) if running is not None else _as_woken(shard, agent, key, latest)
    found = WouldAsk(agent.name, key, [], because, "" if running is None else running.id, len(turn.answers))
    if agent.source == "stream" and not turn.events:
        return found.but(because=[f"No event of stream `{agent.on}` under this key is known, which it could be about."])
    try:
        value = wanted(agent, value_of(fold, turn)[0])
    except Exception as error:
        return found.but(because=[*because, f"Its when= raised {type(error).__name__}: {error}"])
    if value is None and agent.declines_none:
        return found.but(because=[*because, _nothing(agent)])
    with _looked(shard, turn, value) as attempt:
        return found.but(
            wishes=[_wish(question.request, question.place in turn.calls) for question in attempt.questions],
            because=[*because, *_said(shard, attempt)],
        )


def _as_running(turn: Running) -> tuple[Running, list[str]]:
    """A turn with what the running one has been answered, that can be run without disturbing it."""
    again = Running(turn.agent, turn.key, turn.wake, turn.events, turn.started_us)
    again.answers, again.changes = dict(turn.answers), dict(turn.changes)
    again.positions, again.calls = list(turn.positions), dict(turn.calls)
    return again, [f"Its turn {turn.id} runs, with {len(turn.answers)} answers so far."]


def _as_woken(shard: Shard, agent: Agent[Any], key: Any, latest: Callable[[Any], Pairs]) -> tuple[Running, list[str]]:
    """A turn as its wake would begin one now."""
    fold = shard.fold
    book = fold.books[agent.name]
    wake = book.due.get(key)
    events, because = book.events.get(key, []), ["Its wake is due." if wake else "No wake is due; as if one were."]
    if agent.source == "stream" and not events:
        events = latest(key)
        because = ["No event waits; this is about those that its latest turn saw."]
    wake = wake or Wake(agent.on, fold.end - 1, shard.now_us, [offset for offset, _ in events])
    return Running(agent, key, wake, list(events), shard.now_us), because


def _nothing(agent: Agent[Any]) -> str:
    what = f"{agent.source} `{agent.on}`"
    unless = ", or its when= does not hold for it" if agent.when else ""
    return f"The {what} has nothing for this key{unless}, and its parameter does not accept None."


@contextmanager
def _looked(shard: Shard, turn: Running, value: Any) -> Generator[Attempt]:
    """An attempt that has run; where what it reads is too old and the agent has a fallback, by that."""
    silent: tuple[str, ...] = ()
    while True:
        attempt = _attempt(shard, turn, value, silent)
        attempt.run()
        try:
            more = set(_too_old(shard, attempt)) - set(silent) if turn.agent.stale == "fallback" else set[str]()
            if not more:
                yield attempt
                return
        finally:
            attempt.drop()
        silent = tuple(sorted({*silent, *more}))


def _attempt(shard: Shard, turn: Running, value: Any, silent: tuple[str, ...]) -> Attempt:
    options, fold = shard.options, shard.fold
    copies = fold.context.copies
    scope = partial(scope_of, fold, turn, None if copies is None else copies.latest, looks=options.validate)
    return Attempt(turn.agent, value, scope, partial(turn_of, fold, turn, options.seed, shard.now_us, (), silent))


def _too_old(shard: Shard, attempt: Attempt) -> Sequence[str]:
    if not shard.options.validate or attempt.scope.copy is not None:
        return ()
    return too_old(shard.fold.context, allowed_us(shard.fold.context, attempt.agent, attempt))


def _said(shard: Shard, attempt: Attempt) -> Iterator[str]:
    """What became of the attempt, where it does not just ask."""
    context = shard.fold.context
    silent = _too_old(shard, attempt)
    if silent and attempt.agent.stale != "fallback":
        allowed = allowed_us(context, attempt.agent, attempt)
        said = said_of(context, {stream: allowed[stream] for stream in silent}, shard.now_us)
        yield f"It would not be asked now, since {said}."
    elif silent:
        yield f"Its fallback would be asked, since nothing was heard on {', '.join(silent)} for too long."
    for reason in attempt.refused:
        yield f"An answer would be refused: {reason}"
    if attempt.error is not None:
        yield f"It would fail: {type(attempt.error).__name__}: {attempt.error}"
    elif not attempt.questions:
        yield "It would decide without asking anything more."


def _wish(request: Request, in_flight: bool) -> Wish:
    told, prompt, exchange = request.told, request.prompt, list(request.exchange)
    told = None if told is None else clean(told)
    schema = canonical(typed(request.output).schema) if told is None else bytes(told.schema)
    instructions = "" if told is None else told.instructions
    text = request.about if isinstance(request.about, str) else request.about_json.decode()
    text_tokens = estimated(text) if prompt is None else prompt.tokens
    beside = instructions + schema.decode() + request.tools + (canonical(exchange).decode() if exchange else "")
    is_ask = request.kind == "ask"
    return Wish(
        request.kind,
        request.model,
        msgspec.Raw(request.about_json),
        msgspec.Raw(schema if is_ask else b"null"),
        instructions,
        tools=msgspec.Raw(b"null") if told is None else told.tools,
        exchange=exchange,
        refused=[refusal.reason for refusal in request.refusals],
        tokens=text_tokens + estimated(beside) if is_ask else 0,
        text_tokens=text_tokens if is_ask else 0,
        lines=[] if prompt is None else prompt.lines,
        left_out={} if prompt is None else prompt.left_out,
        facts=msgspec.Raw(b"null" if prompt is None else canonical(prompt.facts)),
        in_flight=in_flight,
    )
