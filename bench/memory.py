"""Memory: what a table takes beside a plain dict of the same structs, and what each thing beside the rows adds.

Each is built in a process of its own, from the same JSON lines, so that both hold rows that came from outside; what
counts is by how much the resident memory grew. Indexes, history and the horizon of duplicates are apart.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bench.measuring import Figure, Scale, expect, resident
from bench.readings import Reading
from extrovert import App
from extrovert.context.live import LiveContext
from extrovert.context.seen import Seen
from extrovert.core.time import to_us

__all__ = ["measure"]

ROWS = 500_000
SITES = 2_000
CHUNK = 1_000
START = datetime(2026, 2, 8, tzinfo=UTC)


def measure(scale: Scale) -> list[Figure]:
    """Bytes a row: of a table and of a dict, run in turn, and of what may come with a table."""
    rows = scale.of(ROWS)
    runs = min(scale.runs, 3)
    dicts = [_grown("dict", rows) for _ in range(runs)]
    tables = [_grown("table", rows) for _ in range(runs)]
    figures = [
        Figure(
            bench="memory",
            what=f"a table of {rows:,} rows of 10 fields",
            unit="bytes/row",
            runs=tables,
            beside="dict",
            references=dicts,
            aim="ratio 1.5",
        )
    ]
    for name, what in MORE.items():
        grown = [_grown(name, rows) for _ in range(runs)]
        added = [with_it - without for with_it, without in zip(grown, tables, strict=True)]
        figures.append(Figure(bench="memory", what=f"more with {what}", unit="bytes/row", runs=added))
    return figures


def _grown(what: str, rows: int) -> float:
    """By how many bytes a row a process has grown that holds it."""
    command = [sys.executable, "-m", "bench.memory", what, str(rows)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return int(done.stdout) / rows


# ---- in the process


def _dict(chunks: list[bytes]) -> object:
    decode = msgspec.json.Decoder(Reading).decode
    rows: dict[str, Reading] = {}
    for chunk in chunks:
        for line in chunk.splitlines():
            row = decode(line)
            rows[row.sensor_id] = row
    expect("rows", len(rows), len(chunks) * CHUNK)
    return rows


def _context(chunks: list[bytes], declare: Callable[[App], Any]) -> object:
    app = App("memory")
    declare(app)
    declared = app.declared()
    context = LiveContext(declared.tables, declared.views, declared.operators)
    context.clock_is(to_us(START + timedelta(days=60)))
    decode = msgspec.json.Decoder(Reading).decode
    offset = 1
    for chunk in chunks:
        rows = list(map(decode, chunk.splitlines()))
        failures = context.fold("readings", [row.sensor_id for row in rows], rows, range(offset, offset + len(rows)))
        expect("rows that could not be taken", failures, [])
        offset += len(rows)
    context.settle()
    for table in context.tables.values():
        table.take_written()  # as a snapshot does
    expect("rows", len(context.tables["readings"].rows), len(chunks) * CHUNK)
    return context


def _table(app: App) -> Any:
    return app.table("readings", Reading, key=Reading.sensor_id)


def _indexed(app: App) -> None:
    _table(app).index(Reading.site)


def _ordered(app: App) -> None:
    _table(app).range_index(Reading.value)


def _with_history(app: App) -> None:
    app.table(
        "readings", Reading, key=Reading.sensor_id, order_by=Reading.taken_at, history=timedelta(days=365)
    )  # each row has one version


MORE = {
    "index": "an index, 2,000 values",
    "range": "a range index, distinct values",
    "history": "history, one version a row",
    "duplicates": "the horizon of duplicates, each row's id in it",
}
DECLARE: dict[str, Callable[[App], Any]] = {
    "table": _table,
    "index": _indexed,
    "range": _ordered,
    "history": _with_history,
}


def _with_duplicates(chunks: list[bytes]) -> object:
    """The table, and the ids that the intake has seen."""
    app = App("memory")
    stream = app.stream("events", Reading, key=Reading.sensor_id, id=Reading.sensor_id, horizon=timedelta(days=1))
    seen = Seen(stream)
    decode = msgspec.json.Decoder(Reading).decode
    for chunk in chunks:
        seen.note("", list(map(decode, chunk.splitlines())), 1)
    return _context(chunks, _table), seen


def _build(what: str, chunks: list[bytes]) -> object:
    if what == "dict":
        return _dict(chunks)
    if what == "duplicates":
        return _with_duplicates(chunks)
    return _context(chunks, DECLARE[what])


def _lines(rows: int) -> list[bytes]:
    made = [_line(number) for number in range(-(-rows // CHUNK) * CHUNK)]
    return [b"\n".join(made[start : start + CHUNK]) for start in range(0, len(made), CHUNK)]


def _line(number: int) -> bytes:
    taken_at = f"{START + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}"
    return (
        f'{{"sensor_id":"sensor-{number:07}","sequence":{number},"taken_at":"{taken_at}",'
        f'"value":{number * 7919 % 1_000_003},"site":"site-{number % SITES:05}","kind":"heat","unit":"mK",'
        f'"battery":0.5,"firmware":"4.11.{number % 9}","ok":true}}'
    ).encode()


def main() -> None:
    """`python -m bench.memory WHAT ROWS`: prints by how many bytes this process grew."""
    what, rows = sys.argv[1], int(sys.argv[2])
    _build(what, _lines(CHUNK))  # what is made at first use is there before
    chunks = _lines(rows)
    before = resident()
    held = _build(what, chunks)
    print(resident() - before)
    del held


if __name__ == "__main__":
    main()
