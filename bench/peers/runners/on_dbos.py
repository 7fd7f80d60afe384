"""DBOS on SQLite, one process. A decision is a workflow: three steps that answer, one that writes two rows, one that
acts.

64 threads each start a workflow and wait for its result. The rows are in a SQLite file beside DBOS's own, written in
one transaction. What the steps do costs next to nothing.
"""

# The peer is not in the environment where types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import msgspec
from dbos import DBOS, SetWorkflowID

from bench.peers.work import AT_A_TIME, Outcome, Task, answer, decided_digests, run, timed

PERFORMED: list[int] = []
ROWS: list[sqlite3.Connection] = []
LOCK = threading.Lock()


@DBOS.step()
def ask(step: int, number: int) -> int:
    return answer(step, number)


@DBOS.step()
def write(sequence: int, verdict: int, trail: int) -> None:
    with LOCK, ROWS[0]:
        ROWS[0].execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", (sequence, verdict))
        ROWS[0].execute("INSERT OR REPLACE INTO trails VALUES (?, ?)", (sequence, trail))


@DBOS.step()
def act(sequence: int, verdict: int) -> None:
    PERFORMED.append(sequence)


@DBOS.workflow()
def decide_one(sequence: int, value: int) -> None:
    one = ask(1, value)
    two = ask(2, one)
    three = ask(3, two)
    write(sequence, three, one + two)
    act(sequence, three)


def decide(task: Task) -> Outcome:
    """W8."""
    rows = sqlite3.connect(Path(task.scratch) / "rows.sqlite", check_same_thread=False)
    rows.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE verdicts (key INTEGER PRIMARY KEY, value INTEGER);"
        "CREATE TABLE trails (key INTEGER PRIMARY KEY, value INTEGER)"
    )
    ROWS.append(rows)
    DBOS(config={"name": "deciding", "system_database_url": f"sqlite:///{Path(task.scratch) / 'dbos.sqlite'}"})
    DBOS.launch()
    decode = msgspec.json.Decoder(task.event).decode

    def one(line: bytes) -> None:
        event = decode(line)
        with SetWorkflowID(f"decide-{event.sequence}"):
            handle = DBOS.start_workflow(decide_one, event.sequence, event.value)
        handle.get_result()

    with timed() as took, Path(task.file).open("rb") as lines, ThreadPoolExecutor(AT_A_TIME) as pool:
        for _ in pool.map(one, lines):
            pass
    verdicts, trails = (dict(rows.execute(f"SELECT * FROM {name}")) for name in ("verdicts", "trails"))
    DBOS.destroy()
    results = decided_digests(verdicts, trails, PERFORMED)
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=results)


if __name__ == "__main__":
    run({"W8": decide}, f"DBOS {version('dbos')}")
