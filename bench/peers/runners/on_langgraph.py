"""LangGraph with SqliteSaver, one process. A decision is an entrypoint under a thread id of its own: three tasks that
answer, one that writes two rows, one that acts.

64 threads each invoke one at a time, with `durability="sync"`. The rows are in a SQLite file beside the
checkpoints, written in one transaction. What the tasks do costs next to nothing.
"""

# The peer is not in the environment where types are checked.
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import msgspec
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.func import entrypoint, task

from bench.peers.work import AT_A_TIME, Outcome, Task, answer, decided_digests, run, timed

PERFORMED: list[int] = []
ROWS: list[sqlite3.Connection] = []
LOCK = threading.Lock()


@task
def ask(step: int, number: int) -> int:
    return answer(step, number)


@task
def write(sequence: int, verdict: int, trail: int) -> None:
    with LOCK, ROWS[0]:
        ROWS[0].execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", (sequence, verdict))
        ROWS[0].execute("INSERT OR REPLACE INTO trails VALUES (?, ?)", (sequence, trail))


@task
def act(sequence: int, verdict: int) -> None:
    PERFORMED.append(sequence)


def decide(given: Task) -> Outcome:
    """W8."""
    rows = sqlite3.connect(Path(given.scratch) / "rows.sqlite", check_same_thread=False)
    rows.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE verdicts (key INTEGER PRIMARY KEY, value INTEGER);"
        "CREATE TABLE trails (key INTEGER PRIMARY KEY, value INTEGER)"
    )
    ROWS.append(rows)
    decode = msgspec.json.Decoder(given.event).decode
    with SqliteSaver.from_conn_string(str(Path(given.scratch) / "langgraph.sqlite")) as saver:

        @entrypoint(checkpointer=saver)
        def decide_one(event: dict[str, int]) -> None:
            sequence = event["sequence"]
            one = ask(1, event["value"]).result()
            two = ask(2, one).result()
            three = ask(3, two).result()
            write(sequence, three, one + two).result()
            act(sequence, three).result()

        def one(line: bytes) -> None:
            event = decode(line)
            config = {"configurable": {"thread_id": f"decide-{event.sequence}"}}
            decide_one.invoke({"sequence": event.sequence, "value": event.value}, config, durability="sync")

        with timed() as took, Path(given.file).open("rb") as lines, ThreadPoolExecutor(AT_A_TIME) as pool:
            for _ in pool.map(one, lines):
                pass
    verdicts, trails = (dict(rows.execute(f"SELECT * FROM {name}")) for name in ("verdicts", "trails"))
    results = decided_digests(verdicts, trails, PERFORMED)
    return Outcome(seconds=took.seconds, processor_s=took.processor_s, results=results)


if __name__ == "__main__":
    run({"W8": decide}, f"LangGraph {version('langgraph')}, SqliteSaver {version('langgraph-checkpoint-sqlite')}")
