"""Durable decisions: each asks a policy three times, one after the other, writes two rows and intends one effect.

The engine runs as in `extrovert run`: a real clock, a file, fsync, group commit. 64 are under way at a time: when an
effect has been performed, the next event is handed in. What is durable on the way: the event, each ask and its answer,
the decision, that the effect is about to be performed, and that it was. The clock is stopped when all of it is.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from bench.measuring import Figure, Scale, alternate, expect
from bench.peers import events
from bench.peers.work import AT_A_TIME, Outcome, Task, answer, decided_digests, timed
from bench.readings import Reading
from extrovert import App, Record, Turn
from extrovert.engine.hosting import hosted, own_process
from extrovert.engine.loop import Engine

__all__ = ["decide", "deciding_app", "measure"]

DECISIONS = 10_000


class Question(Record):
    """What is asked: the how manieth ask of a decision this is, and about what."""

    step: int
    number: int


class Answer(Record):
    """What is answered."""

    number: int


class Verdict(Record):
    """One row that a decision writes."""

    sequence: int
    number: int


class Trail(Record):
    """The other one."""

    sequence: int
    number: int


class Performed:
    """The effects that were performed, by the sequence numbers of their events; `then` is called after each."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.then = lambda: None

    def note(self, sequence: int) -> None:
        self.sequences.append(sequence)
        self.then()


def deciding_app(performed: Performed) -> App:
    """The app: an agent that decides about each reading."""
    app = App("deciding")
    readings = app.stream("readings", Reading, key=Reading.sequence)
    verdicts = app.table("verdicts", Verdict, key=Verdict.sequence)
    trails = app.table("trails", Trail, key=Trail.sequence)

    @app.policy
    def judge(question: Question) -> Answer:
        return Answer(answer(question.step, question.number))

    @app.effect(idempotent=True)
    async def act(sequence: int, verdict: int, *, idempotency_key: str = "") -> None:
        performed.note(sequence)

    @app.agent(wakes_on=readings, model=judge)
    async def decide(turn: Turn, reading: Reading) -> None:  # pyright: ignore[reportUnusedFunction]
        one = await turn.ask(Question(1, reading.value), output=Answer)
        two = await turn.ask(Question(2, one.number), output=Answer)
        three = await turn.ask(Question(3, two.number), output=Answer)
        turn.put(verdicts, Verdict(reading.sequence, three.number))
        turn.put(trails, Trail(reading.sequence, one.number + two.number))
        turn.effect(act, reading.sequence, three.number)

    return app


def measure(scale: Scale) -> list[Figure]:
    """Decisions a second, beside a loop that writes the same rows to SQLite, in groups of as many."""
    from bench.peers.runners import plain

    count = scale.of(DECISIONS)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "readings.jsonl"
        events.write(file, count, count)
        given = Task(work="W8", file=str(file), count=count, limit=events.LIMIT, end_key=events.END_KEY, scratch="")
        pairs = alternate(scale.runs, lambda: _in_scratch(decide, given), lambda: _in_scratch(plain.decide, given))
    for ours, right in pairs:
        expect("decisions", ours.results, right.results)
    figures: list[Figure] = []
    for what, of in ("durable, 64 at a time", "seconds"), ("of its processor time", "processor_s"):
        figures.append(
            Figure(
                bench="deciding",
                what=f"3 asks, 2 rows, 1 effect, {what}",
                unit="decisions/s",
                runs=[count / getattr(ours, of) for ours, _ in pairs],
                beside="plain loop",
                references=[count / getattr(right, of) for _, right in pairs],
                aim="5,000" if of == "seconds" else "",
            )
        )
    return figures


def _in_scratch(work: Callable[[Task], Outcome], given: Task) -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        return work(msgspec.structs.replace(given, scratch=scratch))


def decide(task: Task) -> Outcome:
    """W8 of the comparison with the peers."""
    with Path(task.file).open("rb") as lines:
        return asyncio.run(_decide(task, lines))


async def _decide(task: Task, lines: BinaryIO) -> Outcome:
    performed = Performed()
    app = deciding_app(performed)
    async with hosted(app.declared(), Path(task.scratch) / "data") as engine:
        own_process()
        with timed() as took:
            await _fed(engine, lines, performed, task.count)
        tables = engine.shard.fold.context.tables
        verdicts = {key: row.number for key, row in tables["verdicts"].rows.items()}
        trails = {key: row.number for key, row in tables["trails"].rows.items()}
    results = decided_digests(verdicts, trails, performed.sequences)
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=results)


async def _fed(engine: Engine, lines: BinaryIO, performed: Performed, count: int) -> None:
    """Hands in events, one for each effect that has been performed, until all have."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    room = AT_A_TIME

    def hand_in() -> None:
        nonlocal room
        group = list(islice(lines, room))
        room = 0
        if group:
            engine.shard.advance(engine.clock.now_us())
            expect("rejected lines", engine.intake.lines("readings", b"".join(group)).rejected, [])
            engine.nudge()

    def freed() -> None:
        nonlocal room
        room += 1
        if room == 1:
            loop.call_soon(hand_in)
        if len(performed.sequences) == count:
            done.set()

    performed.then = freed
    hand_in()
    await done.wait()
    while not engine.quiet:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await engine.durable()
