"""Random apps: agents whose steps are drawn, over tables that events and they themselves write.

A step is a small record, so that a failing example prints as what it does. What a step reads goes into `acc`, and what
it asks, writes and reads next comes out of it: every read can matter to every write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from zlib import crc32

import msgspec
from hypothesis import strategies as st

from extrovert import App, Arrival, Record, Refuse, Turn, before, between
from extrovert.connectors.replay import Replay
from extrovert.context.index import Index
from extrovert.context.range_index import RangeIndex
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.core.time import to_us
from extrovert.testing.world import START
from extrovert.turns.request import Request

__all__ = [
    "BEGIN_US",
    "KEYS",
    "PARTS",
    "Act",
    "Answers",
    "Ask",
    "Emit",
    "Plan",
    "Program",
    "Read",
    "Write",
    "app_of",
    "mix",
    "plans",
]

BEGIN_US = to_us(START)
KEYS = ["k0", "k1", "k2", "k3"]
PARTS = ["g0", "g1", "g2", "ik0", "ik1", "ik2", "ik3"]
"""The keys of the rows that the view `parts` makes."""
TABLES = ["facts", "items", "notes"]
THINKS_MS = [0, 2, 7, 40, 300, 1_300]


class Cell(Record):
    """A row of any table here."""

    key: str
    group: int = 0
    value: int = 0


class Read(Record):
    """Looks at `of`: row, bucket, count, range, first (of a range), all, view, nested (a view on a view) or before.

    `at` is the key, group, low value or second, according to that; None leaves it to what was read so far.
    """

    of: str
    table: str
    at: int | None


class Ask(Record):
    """Asks about what was read so far, told coarsely; refuses each answer that is a multiple of `refuses`."""

    coarse: int
    refuses: int = 0


class Write(Record):
    """Puts an item at key `at` (None: according to what was read so far), or deletes it."""

    at: int | None
    delete: bool = False


class Emit(Record):
    """Emits a note."""

    at: int | None


class Act(Record):
    """Intends an effect; where it is not `safe` to repeat, it is performed at most once."""

    safe: bool


Step = Read | Ask | Write | Emit | Act


class Program(Record):
    """One agent: what wakes it (commands, facts or alarm), what it does, how many turns may run at a time, and how long
    a key rests after a turn."""

    wakes_on: str
    steps: tuple[Step, ...]
    concurrency: int = 10
    rest_ms: int = 0


class Happening(Record):
    """An event `after_ms` of the one before it: a row of a stream, or a deletion where there is no value."""

    after_ms: int
    stream: str
    key: str
    group: int
    value: int | None


class Plan(Record):
    """An app, what happens to it, and the seed of its thinking times."""

    programs: tuple[Program, ...]
    happenings: tuple[Happening, ...]
    seed: int


def mix(acc: int, seen: Any) -> int:
    """What was read so far, and one thing more."""
    return crc32(f"{acc}|{seen}".encode()) % 10_007


# ---- drawing

_at = st.none() | st.integers(0, 3)
_reads = st.builds(
    Read,
    of=st.sampled_from(
        ["row", "bucket", "count", "range", "first", "all", "view", "nested", "doubled", "middle", "before"]
    ),
    table=st.sampled_from(TABLES),
    at=_at,
)
_asks = st.builds(Ask, coarse=st.sampled_from([1, 3, 10_007]), refuses=st.sampled_from([0, 0, 3]))
_writes = st.builds(Write, at=_at, delete=st.sampled_from([False, False, False, True]))
_others = st.builds(Emit, at=_at) | st.builds(Act, safe=st.booleans())
_steps = st.lists(_reads | _asks | _writes | _others, max_size=6)
_programs = st.builds(
    Program,
    wakes_on=st.sampled_from(["commands", "facts", "alarm"]),
    steps=st.tuples(_reads, _asks, _steps, _writes).map(lambda parts: (parts[0], parts[1], *parts[2], parts[3])),
    concurrency=st.sampled_from([1, 10]),
    rest_ms=st.sampled_from([0, 0, 150]),
)
_happenings = st.builds(
    Happening,
    after_ms=st.sampled_from([0, 0, 1, 4, 50, 400]),
    stream=st.sampled_from(["commands", "facts", "facts", "notes"]),
    key=st.sampled_from(KEYS),
    group=st.integers(0, 2),
    value=st.integers(0, 9) | st.none(),
)


def plans(max_happenings: int = 40) -> st.SearchStrategy[Plan]:
    happenings = st.lists(_happenings, min_size=6, max_size=max_happenings).map(tuple)
    programs = st.lists(_programs, min_size=1, max_size=3).map(tuple)
    return st.builds(Plan, programs=programs, happenings=happenings, seed=st.integers(0, 3))


# ---- the app


class Context:
    """The declared parts that steps look at."""

    def __init__(self, app: App) -> None:
        notes = app.stream("notes", Cell, key=Cell.key)
        facts = app.stream("facts", Cell, key=Cell.key)
        self.notes = notes
        self.commands = app.stream("commands", Cell, key=Cell.key)
        self.tables: dict[str, Table[str, Cell]] = {
            "facts": app.table("facts", Cell, key=Cell.key, source=facts),
            "items": app.table("items", Cell, key=Cell.key),
            "notes": app.table("notes", Cell, key=Cell.key, source=notes),
        }
        self.groups: dict[str, Index[int, Cell]] = {name: t.index(Cell.group) for name, t in self.tables.items()}
        self.ranges: dict[str, RangeIndex[tuple[int, int], Cell]] = {
            name: table.range_index(Cell.group, Cell.value) for name, table in self.tables.items()
        }
        tables, groups = self.tables, self.groups

        @app.view(over=tables["facts"])
        def summary(fact: Cell) -> int | None:
            if fact.value == 7:
                raise ValueError("seven")
            item = tables["items"].get(fact.key)
            late = 0 if before(START + timedelta(seconds=fact.group)) else 100
            total = late + groups["facts"].count(fact.group) * 10 + (item.value if item else 0)
            return None if total % 4 == 0 else total

        @app.view(over=tables["facts"])
        def nested(fact: Cell) -> int:
            return sum(summary.get(other.key) or 0 for other in groups["facts"][fact.group])

        @app.view(over=tables["facts"])
        def alarm(fact: Cell) -> int | None:
            above = self.ranges["facts"].between((fact.group, fact.value), (fact.group,))
            return None if len(above) > 1 else fact.value // 2

        stacked = self._stacked(app, summary)

        @app.effect(idempotent=True)
        async def safe(text: str, *, idempotency_key: str = "") -> None: ...

        @app.effect
        async def unsafe(text: str) -> None: ...

        self.effects = {True: safe, False: unsafe}
        self.views = {"view": summary, "nested": nested, **stacked}
        self.alarm = alarm

    def _stacked(self, app: App, summary: View[str, int]) -> dict[str, View[str, int]]:
        """Views over a view, over a range of keys, and over the rows that a view makes."""
        facts, items = self.tables["facts"], self.tables["items"]

        @app.view(over=summary)
        def doubled(total: int) -> int | None:
            return None if total % 3 == 0 else 2 * total

        @app.view(over=facts, keys=between("k1", "k3", bounds="[)"))
        def middle(fact: Cell) -> int:
            return doubled.get(fact.key) or 0

        @app.view(over=facts, key=Cell.key)
        def parts(fact: Cell) -> list[Cell]:
            """Rows that several facts make, alike or not."""
            item = items.get(fact.key)
            if fact.value == 8:
                raise ValueError("eight")
            shared = [Cell(f"g{fact.group}", fact.group, fact.value // 3)] if fact.value else []
            return [*shared, *([Cell(f"i{fact.key}", item.group, fact.value)] if item else [])]

        self.groups["parts"] = parts.index(Cell.group)

        @app.view(over=parts)
        def seen_parts(part: Cell) -> int:
            return part.value + len(self.groups["parts"][part.group])

        return {"doubled": doubled, "middle": middle, "seen_parts": seen_parts}


def app_of(programs: Sequence[Program], happenings: Iterable[Happening] = ()) -> App:
    """The app of these agents, fed by what happens."""
    app = App("random")
    context = Context(app)
    wakes = {"commands": context.commands, "facts": context.tables["facts"], "alarm": context.alarm}
    for number, program in enumerate(programs):
        _declare(app, context, wakes[program.wakes_on], program, f"agent{number}")
    app.source(Replay("source", lambda: arrivals(happenings)))
    return app


def arrivals(happenings: Iterable[Happening]) -> Iterator[Arrival]:
    """The events of a plan, at their times. A command is never a deletion."""
    at_us = BEGIN_US
    for one in happenings:
        at_us += one.after_ms * 1000
        deletes = one.value is None and one.stream != "commands"
        yield Arrival(at_us, one.stream, None if deletes else Cell(one.key, one.group, one.value or 0), one.key)


def _declare(app: App, context: Context, wakes_on: Any, program: Program, name: str) -> None:
    async def agent(turn: Turn, value: Any) -> None:
        acc = mix(0, [event.value for event in turn.events] or getattr(value, "value", value))
        for number, step in enumerate(program.steps):
            acc = await _take(context, turn, number, step, acc)

    agent.__name__ = name
    app.agent(
        wakes_on=wakes_on,
        model="policy:any",
        concurrency=program.concurrency,
        max_reruns=5,
        rest=timedelta(milliseconds=program.rest_ms),
    )(agent)
    if name == "agent0":
        app.policy(_any)


async def _take(context: Context, turn: Turn, number: int, step: Step, acc: int) -> int:
    """Takes one step; returns what was read so far."""
    match step:
        case Read():
            return mix(acc, _look(context, step, acc))
        case Ask():
            answer = await turn.ask(f"{number}: {acc // step.coarse}", output=int)
            if step.refuses and answer % step.refuses == 0:
                raise Refuse("no multiples")
            return mix(acc, answer)
        case Write() if step.delete:
            turn.delete(context.tables["items"], KEYS[acc % 4 if step.at is None else step.at])
        case Write():
            turn.put(context.tables["items"], _cell(acc, step.at))
        case Emit():
            turn.emit(context.notes, _cell(acc, step.at))
        case Act():
            turn.effect(context.effects[step.safe], str(acc))
    return acc


def _any(question: str) -> int:
    raise AssertionError(question)


_any.__name__ = "any"


def _cell(acc: int, at: int | None) -> Cell:
    return Cell(KEYS[acc % 4 if at is None else at], acc % 3, acc % 10)


def _look(context: Context, read: Read, acc: int) -> Any:
    """What a turn sees, as plain values."""
    at = acc % 4 if read.at is None else read.at
    groups, ranges = context.groups[read.table], context.ranges[read.table]
    match read.of:
        case "row":
            return _plain(context.tables[read.table].get(KEYS[at]))
        case "bucket":
            return [_plain(row) for row in groups[at]]
        case "count":
            return groups.count(at)
        case "range":
            return [_plain(row) for row in ranges.between((at % 3, at), (at % 3, at + 4))]
        case "first":
            return [_plain(row) for row in ranges.under(at % 3, limit=2)]
        case "all":
            return [_plain(row) for row in context.tables[read.table].all()]
        case "before":
            return before(START + timedelta(seconds=at))
        case view:
            return context.views[view].get(KEYS[at])


def _plain(row: Cell | None) -> tuple[str, int, int] | None:
    return None if row is None else (row.key, row.group, row.value)


class Answers:
    """Answers every ask with the next number, after a time that hangs on who asks what.

    With `by_content` the answer hangs on what is asked, so that two runs are answered alike.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.given = 0
        self.by_content = False

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        draw = crc32(f"{self.seed}|{agent}|{key}|{request_hash}|{occurrence}".encode())
        return THINKS_MS[draw % len(THINKS_MS)] * 1000

    def answer(self, request: Request) -> msgspec.Raw:
        self.given += 1
        answer = crc32(request.hash.encode()) % 1_000 if self.by_content else self.given
        return msgspec.Raw(str(answer).encode())
