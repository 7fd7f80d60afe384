"""The shard: append and apply in one step, and nothing that is not in the log."""

from __future__ import annotations

import msgspec

from extrovert import App, Record
from extrovert.core.log import Dead, Events
from extrovert.engine.shard import Options, Shard


class Row(Record):
    key: str
    number: int = 0


def shard() -> Shard:
    app = App("app")
    events = app.stream("events", Row, key=Row.key)

    def fold(row: Row | None, event: Row) -> Row:
        return event.but(number=60 // event.number)

    app.table("rows", Row, key=Row.key, source=events, fold=fold)
    return Shard(app.declared().fold(), Options(wall_us=iter(range(0, 1_000, 10)).__next__))


def events(*rows: Row) -> Events:
    return Events("events", [msgspec.Raw(msgspec.json.encode(row)) for row in rows])


def test_an_entry_covers_an_offset_for_each_record() -> None:
    one = shard()
    rows = [Row("a", 1), Row("b", 2)]
    assert one.accept(events(*rows), rows) == 1
    assert one.accept(events(Row("c", 3)), [Row("c", 3)]) == 3
    assert [(entry.offset, entry.count, entry.kind) for entry in one.unwritten] == [(1, 2, "events"), (3, 1, "events")]
    assert one.fold.end == 4


def test_an_entry_without_records_covers_one() -> None:
    one = shard()
    one.accept(events(), [])
    assert one.bury(Dead("events", "no")) == 2


def test_what_a_table_cannot_fold_is_buried_beside_it() -> None:
    one = shard()
    rows = [Row("a", 1), Row("b", 0), Row("c", 0)]
    one.accept(events(*rows), rows)
    assert [entry.kind for entry in one.unwritten] == ["events", "dead", "dead"]
    dead = msgspec.json.decode(one.unwritten[2].body, type=Dead)
    assert (dead.event, dead.raw) == (3, '{"key":"c","number":0}')
    assert list(one.fold.context.tables["rows"].rows) == ["a"]


def test_the_time_does_not_go_back() -> None:
    one = shard()
    one.advance(100)
    one.advance(50)
    one.bury(Dead("events", "no"))
    assert one.unwritten[0].at_us == 100


def test_the_work_on_an_entry_is_measured() -> None:
    one = shard()
    one.bury(Dead("events", "no"))
    assert one.unwritten[0].wall_us == 10
