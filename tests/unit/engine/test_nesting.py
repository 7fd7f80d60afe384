"""What intake takes can always be read again, however it is nested."""

from __future__ import annotations

from pathlib import Path

import pytest

from extrovert import App, Record
from extrovert.engine.hosting import opened
from extrovert.engine.intake import MAX_DEPTH
from extrovert.engine.loop import Settings


class Flight(Record):
    flight_id: str


app = App("airline")
flights = app.table("flights", Flight, key=Flight.flight_id)


def nested(depth: int, brackets: str = "[]") -> bytes:
    """A line that is nested `depth` deep, in a field that nobody knows."""
    opening = brackets[0] if brackets == "[]" else '{"a":'
    inner = opening * (depth - 1) + "1" + brackets[1] * (depth - 1)
    return f'{{"flight_id":"F{depth}","more":{inner}}}'.encode()


@pytest.mark.parametrize("brackets", ["[]", "{}"])
@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 900, 985, 990, 995, 1000, 100_000])
def test_a_record_nested_too_deep_is_rejected_and_the_log_stays_readable(
    tmp_path: Path, depth: int, brackets: str
) -> None:
    lines = [nested(2), nested(depth, brackets), nested(3)]
    with opened(app.declared(), tmp_path, settings=Settings(acting=False)) as engine:
        report = engine.intake.lines("flights", b"\n".join(lines))
        engine.writing.flush()
    assert (report.accepted, len(report.rejected)) == ((3, 0) if depth <= MAX_DEPTH else (2, 1))
    with opened(app.declared(), tmp_path, settings=Settings(acting=False)) as engine:
        assert len(engine.shard.fold.context.tables["flights"].rows) == report.accepted


def test_many_brackets_are_not_deep(tmp_path: Path) -> None:
    line = b'{"flight_id":"F1","more":[%b],"text":"%b"}' % (b",".join([b"[{}]"] * 500), b'[{\\\\\\"' * 500)
    with opened(app.declared(), tmp_path, settings=Settings(acting=False)) as engine:
        assert engine.intake.lines("flights", line).rejected == []
