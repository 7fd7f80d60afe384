"""The app of a plan: tables that events and turns write, a view, effects of each kind, and agents with drawn steps.

What a step reads goes into `acc`, and what it asks, writes and reads next comes out of it: every read can matter to
every write.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol
from zlib import crc32

from extrovert import App, Backoff, Model, Policy, Record, Refuse, Turn, before
from extrovert.context.index import Index
from extrovert.context.range_index import RangeIndex
from extrovert.context.table import Table
from extrovert.core.ports import TimedSource
from extrovert.testing.world import START
from tests.sim.bounds import MOST_TOKENS, PRICE
from tests.sim.plan import (
    KEYS,
    Act,
    Approve,
    Ask,
    Call,
    Emit,
    Next,
    Plan,
    Program,
    Read,
    Request,
    Require,
    Sleep,
    Step,
    Together,
    Undo,
    Write,
)

__all__ = ["CONCURRENCY", "EFFECTS", "EVERY_US", "FAR", "Cell", "Outside", "app_of", "mix"]

FAR = timedelta(days=1)
SOON = Backoff(timedelta(milliseconds=20), timedelta(milliseconds=300))
EFFECTS = ["keyed", "looked_up", "neither", "limited"]
CONCURRENCY = {"limited": 1}
EVERY_US = {"limited": 50_000}


class Cell(Record):
    """A row of any table here, or an event of any stream."""

    key: str
    group: int = 0
    value: int = 0
    id: str | None = None


class Outside(Protocol):
    """What effects act on: `act` does the work, unless it was done under that key and `drops` says so. It can also be
    `read`, and changes by itself."""

    async def act(self, effect: str, what: str, key: str, *, drops: bool) -> str: ...

    async def look_up(self, key: str) -> str | None: ...

    async def read(self, what: str) -> int: ...


def mix(acc: int, seen: Any) -> int:
    """What was read so far, and one thing more."""
    return crc32(f"{acc}|{seen}".encode()) % 10_007


def app_of(plan: Plan, outside: Outside, feed: TimedSource, *, dedup: bool = True) -> App:
    """The app of a plan. Without `dedup` its streams have no ids."""
    kept = None if plan.retention_ms is None else timedelta(milliseconds=plan.retention_ms)
    app = App("simulated", retention=kept)
    context = Context(app, outside, dedup=dedup)
    context.declare_effects(app)
    models = _models(app, plan)
    for number, program in enumerate(plan.programs):
        _declare(app, context, program, f"agent{number}", models)
    app.source(feed)
    return app


def _models(app: App, plan: Plan) -> dict[str, Policy[int] | Model]:
    """What is asked, by name: a policy, or a model that has limits."""
    models: dict[str, Policy[int] | Model] = {one.__name__: app.policy(one) for one in (timed, awaited, cheap)}
    for one in sorted(plan.models, key=lambda one: one.name != "cheap"):
        policy: Any = models[one.name]
        fallback = models["cheap"] if one.limits.over == "fallback" and one.name != "cheap" else None
        models[one.name] = app.model(
            one.name,
            policy,
            max_tokens=MOST_TOKENS,
            price=PRICE,
            limits=one.limits,
            breaker=one.breaker,
            fallback=fallback,
        )
    return models


def timed(question: str) -> int:
    raise AssertionError(question)  # the world answers in its place


def awaited(question: str) -> int:
    raise AssertionError(question)


def cheap(question: str) -> int:
    raise AssertionError(question)


class Context:
    """The declared parts that steps look at and act on."""

    def __init__(self, app: App, outside: Outside, *, dedup: bool) -> None:
        self.outside = outside
        ids: Any = {"id": Cell.id, "horizon": FAR} if dedup else {}
        facts = app.stream("facts", Cell, key=Cell.key, **ids)
        self.commands = app.stream("commands", Cell, key=Cell.key, **ids)
        self.replies = app.stream("replies", Cell, key=Cell.key, **ids)
        self.notes = app.stream("notes", Cell, key=Cell.key)
        self.tables: dict[str, Table[str, Cell]] = {
            "facts": app.table("facts", Cell, key=Cell.key, source=facts),
            "items": app.table("items", Cell, key=Cell.key),
            "marks": app.table("marks", Cell, key=Cell.key),
            "notes": app.table("notes", Cell, key=Cell.key, source=self.notes),
        }
        tables = self.tables
        self.groups: dict[str, Index[int, Cell]] = {name: t.index(Cell.group) for name, t in tables.items()}
        self.ranges: dict[str, RangeIndex[tuple[int], Cell]] = {
            name: t.range_index(Cell.value) for name, t in tables.items()
        }

        groups = self.groups

        @app.view(over=tables["facts"])
        def summary(fact: Cell) -> int | None:
            if fact.value == 7:
                raise ValueError("seven")
            item = tables["items"].get(fact.key)
            late = 0 if before(second(fact.group)) else 100
            total = late + groups["facts"].count(fact.group) * 10 + (item.value if item else 0)
            return None if total % 4 == 0 else total

        @app.guard
        def calm(key: str) -> bool:
            item = tables["items"].get(key)
            return item is None or item.value < 7

        self.summary, self.calm = summary, calm

    def declare_effects(self, app: App) -> None:
        outside = self.outside

        @app.effect(idempotent=True, retry=SOON)
        async def take_back(what: str, about: str, *, idempotency_key: str = "") -> str:
            return await outside.act("take_back", what, idempotency_key, drops=True)

        @app.effect(idempotent=True, retry=SOON, undo=take_back)
        async def keyed(what: str, about: str, *, idempotency_key: str = "") -> str:
            return await outside.act("keyed", what, idempotency_key, drops=True)

        @app.effect(reconcile=outside.look_up, retry=SOON)
        async def looked_up(what: str, about: str, *, idempotency_key: str = "") -> str:
            return await outside.act("looked_up", what, idempotency_key, drops=False)

        @app.effect(retry=SOON)
        async def neither(what: str, about: str, *, idempotency_key: str = "") -> str:
            return await outside.act("neither", what, idempotency_key, drops=False)

        @app.effect(
            idempotent=True,
            retry=SOON,
            concurrency=CONCURRENCY["limited"],
            per_second=1_000_000 / EVERY_US["limited"],
            in_order=False,
        )
        async def limited(what: str, about: str, *, idempotency_key: str = "") -> str:
            return await outside.act("limited", what, idempotency_key, drops=True)

        self.effects = {"keyed": keyed, "looked_up": looked_up, "neither": neither, "limited": limited}


def second(number: int) -> datetime:
    return START + timedelta(seconds=number)


def _declare(app: App, context: Context, program: Program, name: str, models: dict[str, Policy[int] | Model]) -> None:
    async def agent(turn: Turn, value: Any) -> None:
        acc = mix(0, [event.value for event in turn.events] or getattr(value, "value", value))
        for number, step in enumerate(program.steps):
            acc = await _take(context, turn, number, step, acc)

    agent.__name__ = name
    wakes: dict[str, Any] = {
        "commands": context.commands,
        "facts": context.tables["facts"],
        "summary": context.summary,
    }
    options: dict[str, Any] = {"on_conflict": program.on_conflict}
    if program.deadline_s is not None:
        options["deadline"] = timedelta(seconds=program.deadline_s)
    if program.own is not None:
        options["limits"] = program.own
    if program.fresh_ms is not None:
        options["fresh_within"] = timedelta(milliseconds=program.fresh_ms)
        options["stale"] = models["cheap"] if program.stale == "fallback" else program.stale
    declare: Callable[[Any], Any] = app.agent(
        wakes_on=wakes[program.wakes_on],
        model=models[program.model],
        concurrency=program.concurrency,
        priority=program.priority,
        max_reruns=4,
        retry_after=timedelta(milliseconds=100),
        rest=timedelta(milliseconds=program.rest_ms),
        quiet=timedelta(milliseconds=program.quiet_ms),
        **options,
    )
    declare(agent)


async def _take(context: Context, turn: Turn, number: int, step: Step, acc: int) -> int:  # noqa: C901 -- a case per step
    """Takes one step; returns what was read so far."""
    match step:
        case Read():
            return mix(acc, _look(context, step, acc))
        case Ask():
            answer = await turn.ask(f"{number}: {acc // step.coarse}", output=int)
            if step.refuses and answer % step.refuses == 0:
                raise Refuse("no multiples")
            return mix(acc, answer)
        case Together():
            asks = [turn.ask(f"{number}{part}: {acc // step.coarse}", output=int) for part in "ab"]
            return mix(acc, list(await turn.gather(*asks)))
        case Sleep():
            await turn.sleep_until(second(step.second))
        case Next():
            reply = await turn.next(context.replies, key=KEYS[step.at], until=second(step.second))
            return mix(acc, None if reply is None else reply.value)
        case Approve():
            said = await turn.approval(f"{number}: {acc}", until=second(step.second))
            return mix(acc, said.granted)
        case Request():
            asked = Cell(KEYS[step.at], acc % 3, acc % 10)
            note = await turn.request(
                context.commands, asked, context.notes, key=KEYS[step.at], until=second(step.second)
            )
            return mix(acc, None if note is None else note.value)
        case Call():
            what = f"{number}: {acc // step.coarse}"
            age = timedelta(milliseconds=step.max_age_ms)
            return mix(acc, await turn.call(context.outside.read, what, output=int, max_age=age))
        case Write() if step.delete:
            turn.delete(context.tables[step.to], key_of(acc, step.at))
        case Write():
            turn.put(context.tables[step.to], Cell(key_of(acc, step.at), acc % 3, acc % 10, turn.id))
        case Emit():
            at = None if step.second is None else second(step.second)
            turn.emit(context.notes, Cell(key_of(acc, step.at), acc % 3, acc % 10), at=at)
        case Undo():
            item = context.tables["items"].get(KEYS[step.at])
            if item is not None and item.id != turn.id:
                turn.undo(item.id or "")
        case Require():
            turn.require(context.calm(KEYS[step.at]))
        case Act():
            intended = turn.effect(context.effects[step.effect], str(acc), f"b{acc % 3}")
            if step.once:
                intended.once(f"b{acc % 3}")
            if step.calm is not None:
                intended.guard(context.calm(KEYS[step.calm]))
    return acc


def key_of(acc: int, at: int | None) -> str:
    return KEYS[acc % len(KEYS) if at is None else at]


def _look(context: Context, read: Read, acc: int) -> Any:
    """What a turn sees, as plain values."""
    at = acc % len(KEYS) if read.at is None else read.at
    groups, ranges, table = context.groups[read.table], context.ranges[read.table], context.tables[read.table]
    match read.of:
        case "row":
            return plain(table.get(KEYS[at]))
        case "bucket":
            return [plain(row) for row in groups[at]]
        case "count":
            return groups.count(at)
        case "range":
            return [plain(row) for row in ranges.between(at, at + 5)]
        case "all":
            return [plain(row) for row in table.all()]
        case "before":
            return before(second(at))
        case _:
            return context.summary.get(KEYS[at])


def plain(row: Cell | None) -> tuple[str, int, int] | None:
    return None if row is None else (row.key, row.group, row.value)
