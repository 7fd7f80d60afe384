"""A stream of a database's changes, as Debezium gives them, makes a table that follows the database."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from extrovert import App, Change, DeclarationError, Record, Turn
from extrovert.testing import World
from extrovert.testing.world import START


class Account(Record):
    account_id: int
    balance: int
    at: datetime = START


app = App("bank")
captured = app.changes("captured", Account, key=Account.account_id)
accounts = app.table("accounts", Account, key=Account.account_id, source=captured)
dated = app.table(
    "dated", Account, key=Account.account_id, source=captured, order_by=Account.at, history=timedelta(hours=1)
)
differences: list[int] = []


@app.agent(wakes_on=captured)
async def compare(turn: Turn, change: Change[Account]) -> None:
    for event in turn.events:
        differences.append((event.after.balance if event.after else 0) - (event.before.balance if event.before else 0))


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def deleted(account: Account, minute: float) -> Change[Account]:
    return Change(before=account, op="d", ts_ms=round(at(minute).timestamp() * 1000))


async def test_rows_come_change_and_go(world: World) -> None:
    differences.clear()
    one, more = Account(1, 10), Account(1, 15)
    await world.send(captured, Change(after=one, op="c"), Change(after=Account(2, 7), op="r"))
    await world.send(captured, Change(before=one, after=more, op="u"))
    assert (accounts[1], accounts.count()) == (more, 2)
    await world.send(captured, Change(before=more, op="d"))
    assert (accounts.get(1), accounts.count()) == (None, 1)
    assert differences == [10, 7, 5, -15]


async def test_an_envelope_is_taken_as_it_comes(world: World) -> None:
    line = (
        b'{"before": null, "after": {"account_id": 3, "balance": 1, "ignored": true}, "op": "c", "ts_ms": 5,'
        b' "source": {"connector": "postgresql", "ts_ms": 4}, "transaction": null}'
    )
    report = world.engine.intake.lines("captured", line)
    assert (report.accepted, report.rejected) == (1, [])
    assert accounts[3].balance == 1


async def test_a_change_of_no_row_is_a_dead_letter(world: World) -> None:
    report = await world.send(captured, Change(after=Account(1, 1)), Change(op="t"), Change(after=Account(2, 2)))
    assert report.accepted == 2
    assert [letter.cause for letter in world.dead_letters()] == [
        "a change (op `t`) with neither a row before nor one after it"
    ]


async def test_a_delete_has_a_time_of_its_own(world: World) -> None:
    row, later = Account(1, 10, at(1)), Account(1, 20, at(4))
    await world.send(captured, Change(after=row), deleted(row, 2))
    assert dated.get(1) is None
    assert dated.as_of(1, at(1.5)) == row
    assert dated.as_of(1, at(2)) is None
    await world.send(captured, Change(after=later))
    assert dated[1] == later
    assert dated.as_of(1, at(3)) is None


async def test_a_late_delete_enters_history_only(world: World) -> None:
    row, later = Account(1, 10, at(1)), Account(1, 20, at(4))
    await world.send(captured, Change(after=row), Change(after=later), deleted(row, 2))
    assert dated[1] == later
    assert accounts.get(1) is None  # a table without an order goes by what came last
    assert [dated.as_of(1, at(minute)) for minute in (1.5, 3, 4)] == [row, None, later]


async def test_a_delete_that_comes_before_its_row_leaves_it_deleted(world: World) -> None:
    row = Account(1, 10, at(1))
    await world.send(captured, deleted(row, 2), Change(after=row))
    assert dated.get(1) is None
    assert dated.as_of(1, at(1)) == row


def test_a_change_comes_back_from_json() -> None:
    change = Change(after=Account(1, 2), op="c")
    assert msgspec.json.decode(msgspec.json.encode(change), type=Change[Account]) == change


def test_a_table_of_other_rows_needs_a_fold() -> None:
    class Other(Record):
        account_id: int

    with pytest.raises(DeclarationError, match="say how with fold="):
        app.table("others", Other, key=Other.account_id, source=captured)
