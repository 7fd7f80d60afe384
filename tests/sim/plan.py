"""Plans: what is drawn from a seed. An app, what happens to it, and what goes wrong; all of it plain records, so that a
part can be left out and a failing plan prints as what it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from extrovert import Limits, Record
from extrovert.core.time import to_us
from extrovert.testing.world import START
from tests.sim.bounds import Beat, Bounded, Stall, beats, bounded, own_limits, stalls

__all__ = [
    "BEGIN_US",
    "KEYS",
    "POINTS",
    "Act",
    "Approve",
    "Ask",
    "Call",
    "Emit",
    "Fault",
    "Happening",
    "Next",
    "Plan",
    "Program",
    "Read",
    "Request",
    "Require",
    "Sleep",
    "Step",
    "Together",
    "Undo",
    "Write",
    "plan_of",
]

BEGIN_US = to_us(START)
KEYS = ["k0", "k1", "k2"]


class Read(Record, tag=True, omit_defaults=True):
    """Looks at `of`: row, bucket, count, range, all, view or before, of a table; at a place, or one that hangs on what
    was read so far (None)."""

    of: str
    table: str = "facts"
    at: int | None = None


class Ask(Record, tag=True, omit_defaults=True):
    """Asks about what was read so far, told coarsely; refuses each answer that is a multiple of `refuses`."""

    coarse: int = 1
    refuses: int = 0


class Together(Record, tag=True):
    """Asks two questions at a time."""

    coarse: int


class Sleep(Record, tag=True):
    """Waits until `second` seconds after the beginning."""

    second: int


class Next(Record, tag=True):
    """Waits for the next reply of a key, at most until `second` seconds after the beginning."""

    at: int
    second: int


class Approve(Record, tag=True):
    """Waits for a person, at most until `second` seconds after the beginning."""

    second: int


class Request(Record, tag=True):
    """Sends a command of a key, and waits for the next note of that key, at most until `second`."""

    at: int
    second: int


class Call(Record, tag=True):
    """Reads something outside, which may be so old when the decision is committed."""

    coarse: int
    max_age_ms: int


class Write(Record, tag=True, omit_defaults=True):
    """Puts a row into `to`, or deletes it: items, which the view reads, or marks, which nobody wakes on."""

    to: str
    at: int | None = None
    delete: bool = False


class Emit(Record, tag=True, omit_defaults=True):
    """Emits a note, at once or when it is `second`."""

    at: int | None = None
    second: int | None = None


class Require(Record, tag=True):
    """The decision stands only where the key is calm."""

    at: int


class Undo(Record, tag=True):
    """Takes back the decision that wrote the item of a key."""

    at: int


class Act(Record, tag=True, omit_defaults=True):
    """Intends an effect of a kind; `once` per business key, and only where the key `calm` is calm."""

    effect: str
    once: bool = False
    calm: int | None = None


Step = Read | Ask | Together | Sleep | Next | Approve | Request | Call | Write | Emit | Require | Undo | Act


class Program(Record, omit_defaults=True):
    """One agent: what wakes it, what it does, and whether it is answered in engine time or by a coroutine (awaited).

    It has limits of its `own`; and what it reads may be `fresh_ms` old, or it does as `stale` says.
    """

    wakes_on: str
    steps: tuple[Step, ...]
    awaited: bool = False
    concurrency: int = 10
    rest_ms: int = 0
    quiet_ms: int = 0
    deadline_s: int | None = None
    on_conflict: str = "contended"
    priority: int = 0
    own: Limits | None = None
    fresh_ms: int | None = None
    stale: str = "wait"

    @property
    def model(self) -> str:
        return "awaited" if self.awaited else "timed"


class Happening(Record, omit_defaults=True):
    """An event `after_ms` of the one before it, from the `feed` that is pulled or the `client` that pushes.

    The same `id` twice from one source is a duplicate. Without a value it is a deletion, which only the feed brings.
    """

    after_ms: int
    by: str
    stream: str
    key: str
    id: str
    group: int = 0
    value: int | None = None


class Fault(Record):
    """What goes wrong when a point is passed for the `nth` time: see `POINTS`."""

    point: str
    nth: int
    what: str


POINTS: dict[str, list[str]] = {
    "append": ["dies before", "dies after", "torn"],
    "act": ["dies before", "dies after", "arrives late", "times out", "is lost", "busy", "refused"],
    "look up": ["dies before", "fails"],
    "answer": ["dies before", "fails", "lies", "breaks"],
    "think": ["late", "hangs"],
    "instant": ["dies", "is cut off"],
    "snapshot": ["dies before", "dies after"],
    "recover": ["dies"],
}
"""Where things go wrong, and how: the disk, the target of effects, the model, the process, in this order."""

OFTEN = {"append": 3, "act": 4, "look up": 1, "answer": 2, "think": 1, "instant": 2, "snapshot": 1, "recover": 1}
"""How often a fault is drawn for a point, beside the others."""

MOST = {"append": 40, "act": 12, "look up": 3, "answer": 14, "think": 14, "instant": 90, "snapshot": 2, "recover": 3}
"""How often a point is passed in a typical life: a fault is drawn within that."""


class Plan(Record):
    """A whole simulated life, of an engine in virtual time, or of one in real time, on a loop whose time is made up.

    In virtual time the log is written every `flush_every`-th instant, as a group commit would, and snapshots are taken
    at moments of their own. The log is kept for `retention_ms` (None: whole).

    Of the `models`, those have limits that are named there. The feed `stalls`, and `beats` are the client's.
    """

    seed: int
    programs: tuple[Program, ...]
    happenings: tuple[Happening, ...]
    faults: tuple[Fault, ...]
    flush_every: int
    snapshots_ms: tuple[int, ...]
    retention_ms: int | None = None
    real_time: bool = False
    models: tuple[Bounded, ...] = ()
    stalls: tuple[Stall, ...] = ()
    beats: tuple[Beat, ...] = ()

    def timed(self) -> Iterator[tuple[int, Happening]]:
        """What happens, and when."""
        at_us = BEGIN_US
        for one in self.happenings:
            at_us += one.after_ms * 1000
            yield at_us, one

    def asked(self, name: str) -> str:
        """The name under which one of the models is asked: those without limits are policies."""
        return f"model:{name}" if any(one.name == name for one in self.models) else f"policy:{name}"

    def asked_by(self, program: Program, *, silent: bool) -> str:
        """The same for whom an agent asks, also where what it reads has been `silent` for too long."""
        return self.asked("cheap" if silent and program.stale == "fallback" else program.model)


# ---- drawing


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    chance = Random(seed)
    plan = Plan(
        seed,
        tuple(_program(chance) for _ in range(chance.choice([1, 2, 2, 3]))),
        _happenings(chance),
        tuple(_fault(chance) for _ in range(chance.choice([1, 3, 5, 8]))),
        chance.choice([1, 2, 7]),
        tuple(chance.randrange(4_000) for _ in range(chance.choice([0, 1, 2]))),
        chance.choice([None, None, None, 900, 3_000]),
        chance.random() < 0.5,
    )
    return _within_bounds(plan, Random(f"{seed}: bounds"))


def _within_bounds(plan: Plan, chance: Random) -> Plan:
    """The plan with limits of models, which then fail more often, and agents that want what they read to be fresh."""
    models = bounded(chance, sorted({program.model for program in plan.programs}))
    fails = [Fault("answer", chance.randrange(1, 8), "fails") for _ in range(chance.randrange(3) if models else 0)]
    plan = plan.but(models=models, faults=(*plan.faults, *fails))
    aging = chance.random() < 0.4
    programs = [program.but(priority=chance.choice([0, 0, 1]), own=own_limits(chance)) for program in plan.programs]
    if not aging:
        return plan.but(programs=tuple(programs))
    programs = [
        program.but(
            fresh_ms=chance.choice([None, 150, 400, 1_500]), stale=chance.choice(["wait", "wait", "refuse", "fallback"])
        )
        for program in programs
    ]
    return plan.but(programs=tuple(programs), stalls=stalls(chance), beats=beats(chance))


def _fault(chance: Random) -> Fault:
    (point,) = chance.choices(list(OFTEN), list(OFTEN.values()))
    return Fault(point, chance.randrange(1, MOST[point] + 1), chance.choice(POINTS[point]))


def _happenings(chance: Random) -> tuple[Happening, ...]:
    """Events, some of them a second time, and long pauses between some."""
    made: list[Happening] = []
    for number in range(chance.randrange(8, 22)):
        after_ms = chance.choice([0, 0, 1, 4, 30, 200, 900])
        by = chance.choice(["feed", "client"])
        again = [one for one in made if one.by == by and one.value is not None]
        if again and chance.random() < 0.15:
            made.append(chance.choice(again).but(after_ms=after_ms))
            continue
        stream = chance.choice(["commands", "facts", "facts", "replies"])
        deletes = by == "feed" and stream == "facts" and chance.random() < 0.15
        value = None if deletes else chance.randrange(10)
        made.append(
            Happening(after_ms, by, stream, chance.choice(KEYS), f"e{number}", chance.randrange(3), value),
        )
    return tuple(made)


def _program(chance: Random) -> Program:
    """An agent. One that wakes on the view writes nothing that the view reads: it would wake itself without end."""
    wakes_on = chance.choice(["commands", "facts", "summary"])
    to = "marks" if wakes_on == "summary" else "items"
    steps: list[Step] = [_read(chance), Ask(chance.choice([1, 3, 10_007]), chance.choice([0, 0, 3]))]
    steps += [_any(chance, wakes_on, to) for _ in range(chance.randrange(4))]
    steps += [Write(to, _place(chance)), _act(chance)]
    return Program(
        wakes_on,
        tuple(steps),
        awaited=chance.random() < 0.4,
        concurrency=chance.choice([1, 10]),
        rest_ms=chance.choice([0, 0, 150]),
        quiet_ms=chance.choice([0, 0, 20]),
        deadline_s=chance.choice([None, None, 3]),
        on_conflict=chance.choice(["contended", "drop", "hold", "guarded"]),
    )


def _any(chance: Random, wakes_on: str, to: str) -> Step:
    """A step. Only who wakes on facts, which no turn writes, requests something of others: so there is no cycle."""
    to_others = Request(chance.randrange(len(KEYS)), chance.randrange(1, 6))
    waits: Sequence[Step] = (
        Call(chance.choice([1, 10_007]), chance.choice([50, 1_000])),
        *([to_others] if wakes_on == "facts" else []),
        Sleep(chance.randrange(6)),
        Next(chance.randrange(len(KEYS)), chance.randrange(1, 6)),
        Approve(chance.randrange(1, 6)),
        Together(chance.choice([1, 10_007])),
    )
    others: Sequence[Step] = (
        _read(chance),
        Write(to, _place(chance), delete=chance.random() < 0.3),
        Emit(_place(chance), chance.choice([None, None, *range(1, 6)])),
        Undo(chance.randrange(len(KEYS))),
        Require(chance.randrange(len(KEYS))),
    )
    return chance.choice([*others, *others, _read(chance), chance.choice(waits), _act(chance)])


def _place(chance: Random) -> int | None:
    return chance.choice([None, *range(len(KEYS))])


def _read(chance: Random) -> Read:
    of = chance.choice(["row", "row", "bucket", "count", "range", "all", "view", "before"])
    return Read(of, chance.choice(["facts", "items", "items", "marks", "notes"]), _place(chance))


def _act(chance: Random) -> Act:
    effect = chance.choice(["keyed", "looked_up", "neither", "limited"])
    return Act(effect, chance.random() < 0.3, chance.choice([None, *range(len(KEYS))]))
