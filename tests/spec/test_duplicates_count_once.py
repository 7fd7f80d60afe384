"""An event that comes again from the same source, with the same id and within the horizon, counts once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extrovert import App, Arrival, DeclarationError, Record
from extrovert.connectors.replay import Replay
from extrovert.core.ids import canonical
from extrovert.core.log import Events
from extrovert.core.time import to_us
from extrovert.engine.intake import Report
from extrovert.testing.world import START, World
from tests.hosts import Host, replayed
from tests.picture import picture


class Paid(Record):
    event_id: str | None
    account: str
    amount: int


class Total(Record):
    account: str
    amount: int


def add(total: Total | None, paid: Paid) -> Total:
    if paid.amount < 0:
        raise ValueError("less than nothing")
    return Total(paid.account, (total.amount if total else 0) + paid.amount)


app = App("bank")
payments = app.stream("payments", Paid, key=Paid.account, id=Paid.event_id, horizon=timedelta(hours=1))
totals = app.table("totals", Total, key=Total.account, source=payments, fold=add)

HOUR_S = 3600.0


def lines(*records: Paid) -> bytes:
    return b"\n".join(map(canonical, records))


async def test_a_duplicate_changes_nothing_and_is_counted(world: World) -> None:
    first = await world.send(payments, Paid("e1", "A", 10), Paid("e2", "A", 5))
    second = await world.send(payments, Paid("e2", "A", 5), Paid("e3", "A", 1))
    assert (first, second) == (Report(2, []), Report(1, [], 1))
    assert totals["A"] == Total("A", 16)


async def test_a_duplicate_is_not_logged(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(payments, Paid("e1", "A", 10))
    end = host.fold.end
    assert host.hand_in(payments, Paid("e1", "A", 10)) == Report(0, [], 1)
    assert host.fold.end == end


async def test_a_duplicate_within_one_batch_counts_once_too(world: World) -> None:
    report = await world.send(payments, *[Paid("e1", "A", 10)] * 300)
    assert report == Report(1, [], 299)
    assert totals["A"] == Total("A", 10)


async def test_a_duplicate_among_bad_lines_counts_once_too(world: World) -> None:
    text = b"\n".join([lines(Paid("e1", "A", 1)), b"no", lines(Paid("e1", "A", 1)), lines(Paid("e2", "A", 2))])
    report = world.engine.intake.lines("payments", text)
    assert (report.accepted, report.duplicates, [line for line, _ in report.rejected]) == (2, 1, [2])
    assert totals["A"] == Total("A", 3)


async def test_the_same_id_of_another_source_is_another_event(world: World) -> None:
    intake = world.engine.intake
    for source in ("a", "b", "a"):
        intake.lines("payments", lines(Paid("e1", "A", 1)), source=source)
    assert totals["A"] == Total("A", 2)


async def test_what_has_no_id_is_never_a_duplicate(world: World) -> None:
    assert await world.send(payments, Paid(None, "A", 1), Paid(None, "A", 1)) == Report(2, [])


async def test_after_the_horizon_it_is_a_new_event_and_nothing_is_kept(world: World) -> None:
    seen = world.engine.shard.fold.seen["payments"]
    await world.send(payments, Paid("e1", "A", 1))
    await world.advance(timedelta(minutes=59))
    assert (await world.send(payments, Paid("e1", "A", 1))).duplicates == 1
    await world.advance(timedelta(minutes=1))
    assert (await world.send(payments, Paid("e2", "A", 1))).duplicates == 0
    assert len(seen) == 1  # e1 was dropped when it was due: the horizon runs from the first time
    assert (await world.send(payments, Paid("e1", "A", 1))).duplicates == 0


@pytest.mark.parametrize("clean", [True, False])
async def test_ids_are_known_after_a_restart(tmp_path: Path, clean: bool) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(payments, Paid("e1", "A", 1))
    if clean:
        await host.stop()
        host.begin()
    else:
        host.flush()
        host.crash()
    assert host.hand_in(payments, Paid("e1", "A", 1), Paid("e2", "A", 1)) == Report(1, [], 1)
    assert picture(replayed(host)) == picture(host.fold)


async def test_what_a_crash_has_lost_is_taken_when_it_is_sent_again(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(payments, Paid("e1", "A", 1))
    host.crash()
    assert host.hand_in(payments, Paid("e1", "A", 1)) == Report(1, [])


async def test_a_log_from_before_the_ids_were_declared_is_read_for_them(tmp_path: Path) -> None:
    plain = App("bank")
    before = plain.stream("payments", Paid, key="account")
    plain.table("totals", Total, key="account", source=before, fold=add)
    host = Host(plain, tmp_path / "log")
    host.hand_in(before, Paid("e1", "A", 1), Paid("e1", "A", 1))
    await host.stop()
    assert Host(app, tmp_path / "log").hand_in(payments, Paid("e1", "A", 1)) == Report(0, [], 1)


async def test_a_source_of_nothing_but_duplicates_moves_on(tmp_path: Path) -> None:
    twice = App("bank")
    twice.stream("payments", Paid, key="account", id="event_id", horizon=timedelta(hours=1))
    came = [Arrival(to_us(START) + second * 1_000_000, "payments", Paid("e1", "A", 1)) for second in range(5)]
    twice.source(Replay("desk", lambda: iter(came)))
    host = Host(twice, tmp_path / "log")
    await host.settle()
    assert host.fold.positions == {"desk": 5}
    assert [len(body.data) for body in host.bodies(Events)] == [1, 0, 0, 0, 0]


async def test_an_event_that_a_table_could_not_fold_can_be_retried(tmp_path: Path) -> None:
    from extrovert.stores.sqlite import SqliteStore
    from extrovert.surfaces.retrying import letters, retry

    host = Host(app, tmp_path / "log")
    host.hand_in(payments, Paid("e1", "A", -1))
    host.flush()
    store = SqliteStore(tmp_path / "log", read_only=True)
    retry(host.engine, store, [letter.offset for letter in letters(store)])
    assert len(host.dead_letters()) == 2  # it was tried, and raised again
    store.close()


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.sampled_from("ab"), st.integers(1, 4)), max_size=30)
)
def test_what_counts_is_what_a_naive_recomputation_counts(sent: list[tuple[int, int, str, int]]) -> None:
    world, now_s, naive = World(app), 0.0, dict[tuple[str, int], float]()
    with world:
        shard = world.engine.shard
        for number, minutes, source, repeats in sent:
            now_s += minutes * 60
            shard.advance(to_us(START) + round(now_s * 1e6))
            known = naive.get((source, number))
            fresh = known is None or now_s - known >= HOUR_S
            if fresh:
                naive[source, number] = now_s
            text = lines(*[Paid(f"e{number}", "A", 1)] * repeats)
            report = world.engine.intake.lines("payments", text, source=source)
            assert (report.accepted, report.duplicates) == (fresh, repeats - fresh)


def test_an_id_without_a_horizon_is_refused() -> None:
    with pytest.raises(DeclarationError, match="go together"):
        App("x").stream("payments", Paid, key="account", id=Paid.event_id)
    with pytest.raises(DeclarationError, match="longer than nothing"):
        App("x").stream("payments", Paid, key="account", id=Paid.event_id, horizon=timedelta(0))


def test_an_id_is_a_text_or_a_whole_number() -> None:
    class Odd(Record):
        account: str
        when: float

    with pytest.raises(DeclarationError, match="its id `when` must be a `str` or an `int`"):
        App("x").stream("payments", Odd, key="account", id=Odd.when, horizon=timedelta(hours=1))
