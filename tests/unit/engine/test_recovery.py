"""Recovery: what a snapshot holds, and when it is passed over."""

from __future__ import annotations

from typing import Any

from extrovert import App, Record, Turn
from extrovert.core.log import Dead
from extrovert.engine.recovery import recover
from extrovert.engine.shard import Options, Shard
from extrovert.engine.snapshots import Snapshots
from extrovert.stores.sqlite import SqliteStore
from tests.picture import picture


class Row(Record):
    key: str
    number: int = 0


class RowWithMore(Record):
    key: str
    number: int = 0
    more: int = 5


def declared(record: Any = Row, *, with_agent: bool = True) -> Any:
    app = App("app")
    rows = app.table("rows", record, key="key")

    @app.view(over=rows)
    def double(row: Row) -> int:
        return row.number * 2

    if with_agent:

        @app.agent(wakes_on=double)
        async def agent(turn: Turn, value: int) -> None: ...

    return app.declared()


def filled(store: SqliteStore, app: Any) -> Shard:
    """Three rows written in another order than they stand, and a gap in the offsets."""
    from extrovert.engine.intake import Intake

    shard = Shard(app.fold(), Options())
    intake = Intake(shard)
    intake.lines("rows", b'{"key":"b","number":1}\n{"key":"a","number":2}')
    shard.bury(Dead("rows", "no"))
    intake.lines("rows", b'{"key":"b","number":3}')
    store.append(shard.unwritten)
    shard.unwritten.clear()
    return shard


def test_a_snapshot_gives_the_state_back() -> None:
    store, app = SqliteStore(None), declared()
    shard = filled(store, app)
    Snapshots(app, shard.fold, store, 0).keep()
    assert picture(recover(app, store)[0]) == picture(shard.fold)
    assert recover(app, store)[0].context.tables["rows"].whole.version == 4
    store.close()


def test_a_snapshot_of_other_rows_is_passed_over() -> None:
    store, app = SqliteStore(None), declared()
    shard = filled(store, app)
    Snapshots(app, shard.fold, store, 0).keep()
    fold = recover(declared(RowWithMore), store)[0]
    assert fold.context.tables["rows"].rows["a"] == RowWithMore("a", 2, 5)
    store.close()


def test_a_new_agent_is_due_for_all_that_it_has_not_seen() -> None:
    for keeps in (True, False):
        store, app = SqliteStore(None), declared(with_agent=False)
        shard = filled(store, app)
        if keeps:
            Snapshots(app, shard.fold, store, 0).keep()
        fold = recover(declared(), store)[0]
        assert set(fold.books["agent"].due) == {"a", "b"}
        store.close()


def test_an_agent_that_is_gone_is_forgotten() -> None:
    store, app = SqliteStore(None), declared()
    shard = filled(store, app)
    Snapshots(app, shard.fold, store, 0).keep()
    assert recover(declared(with_agent=False), store)[0].books == {}
    store.close()
