"""A turn waits for the clock, for an event, for another agent and for a person, also over a restart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from extrovert import App, Record, Turn
from extrovert.core.log import Attempted, Decided, Passed
from tests.hosts import Host, Rule, replayed
from tests.picture import picture


class Order(Record):
    order_id: str
    euros: int


class Parcel(Record):
    order_id: str
    state: str


class Wanted(Record):
    quote_id: str
    euros: int


class Quote(Record):
    quote_id: str
    price: int


class Note(Record):
    order_id: str
    text: str


app = App("orders")
orders = app.stream("orders", Order, key=Order.order_id)
notes = app.table("notes", Note, key=Note.order_id)


@app.agent(wakes_on=orders)
async def remind(turn: Turn, order: Order) -> None:
    """Looks an hour later whether the order has been shipped."""
    await turn.sleep_until(turn.now() + timedelta(hours=1))
    turn.put(notes, Note(order.order_id, f"reminded at {turn.now():%H:%M}"))


follow_app = App("follow")
follow_orders = follow_app.stream("orders", Order, key=Order.order_id)
follow_parcels = follow_app.stream("parcels", Parcel, key=Parcel.order_id)
follow_notes = follow_app.table("notes", Note, key=Note.order_id)


@follow_app.agent(wakes_on=follow_orders)
async def follow(turn: Turn, order: Order) -> None:
    """Waits for the first two news of a parcel, the second at most a day."""
    first = await turn.next(follow_parcels, key=order.order_id)
    second = await turn.next(follow_parcels, key=order.order_id, until=turn.now() + timedelta(days=1))
    turn.put(follow_notes, Note(order.order_id, f"{first.state}, {second.state if second else 'nothing more'}"))


trade = App("trade")
trade_orders = trade.stream("orders", Order, key=Order.order_id)
asked = trade.stream("asked", Wanted, key=Wanted.quote_id)
answered = trade.stream("answered", Quote, key=Quote.quote_id)
trade_notes = trade.table("notes", Note, key=Note.order_id)


@trade.agent(wakes_on=trade_orders)
async def buyer(turn: Turn, order: Order) -> None:
    question = Wanted(f"{turn.id}", order.euros)
    quote = await turn.request(
        asked, question, answered, key=question.quote_id, until=turn.now() + timedelta(minutes=1)
    )
    turn.put(trade_notes, Note(order.order_id, f"{quote.price} euros" if quote else "no quote"))


@trade.policy
def guess(question: Wanted) -> int:
    return question.euros * 2


@trade.agent(wakes_on=asked, model=guess)
async def seller(turn: Turn, question: Wanted) -> None:
    if question.euros < 1_000:
        price = await turn.ask(question, output=int)
        turn.emit(answered, Quote(question.quote_id, price))


async def test_it_sleeps_until_a_moment(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(orders, Order("o-1", 5))
    await host.advance(3_599)
    assert host.row(notes, "o-1") is None
    await host.advance(2)
    assert host.row(notes, "o-1").text == "reminded at 01:00"


async def test_a_sleep_survives_a_restart_and_ends_late_where_nobody_was_there(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(orders, Order("o-1", 5), Order("o-2", 5))
    await host.advance(60)
    host.flush()
    host.crash(away=60)
    await host.advance(1)
    assert host.row(notes, "o-1") is None
    host.engine.keep_snapshot()
    host.crash(away=7_200)
    await host.settle()
    assert host.row(notes, "o-1").text == host.row(notes, "o-2").text == "reminded at 02:02"
    assert picture(host.fold) == picture(replayed(host))


async def test_a_turn_that_waits_is_not_under_way(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    host.hand_in(orders, Order("o-1", 5))
    await host.engine.run(until="quiet")
    assert host.clock.now_us() < host.engine.timing.next_us()  # pyright: ignore
    assert len(host.fold.running) == 1


async def test_it_waits_for_the_next_events_and_misses_none(tmp_path: Path) -> None:
    host = Host(follow_app, tmp_path / "log")
    host.hand_in(follow_orders, Order("o-1", 5))
    await host.advance(1)
    host.hand_in(follow_parcels, Parcel("o-2", "lost"), Parcel("o-1", "packed"), Parcel("o-1", "sent"))
    await host.advance(1)
    assert host.row(follow_notes, "o-1").text == "packed, sent"


async def test_an_event_that_does_not_come_in_time_is_none(tmp_path: Path) -> None:
    host = Host(follow_app, tmp_path / "log")
    host.hand_in(follow_orders, Order("o-1", 5))
    await host.advance(1)
    host.hand_in(follow_parcels, Parcel("o-1", "packed"))
    await host.settle()
    assert host.row(follow_notes, "o-1").text == "packed, nothing more"
    assert host.clock.now_us() >= host.decisions()[0].wake.at_us + 86_400_000_000


async def test_events_that_came_before_a_crash_are_not_missed(tmp_path: Path) -> None:
    """What came is in the log; the answer that was to follow is not yet, and is found again."""
    for snapshot in (False, True):
        host = Host(follow_app, tmp_path / f"log {snapshot}")
        host.hand_in(follow_orders, Order("o-1", 5))
        await host.advance(1)
        host.hand_in(follow_parcels, Parcel("o-1", "packed"), Parcel("o-1", "sent"))
        host.flush()
        if snapshot:
            host.engine.keep_snapshot()
        host.crash()
        await host.settle()
        assert host.row(follow_notes, "o-1").text == "packed, sent"
        assert picture(host.fold) == picture(replayed(host))


async def test_another_agent_is_asked_and_answers_through_streams(tmp_path: Path) -> None:
    host = Host(trade, tmp_path / "log")
    await host.send(trade_orders, Order("o-1", 5), Order("o-2", 5_000))
    assert host.row(trade_notes, "o-1").text == "10 euros"
    assert host.row(trade_notes, "o-2").text == "no quote"
    sent = [emit for body in host.bodies(Attempted) for emit in body.emits]
    assert [emit.to for emit in sent] == ["asked", "asked"]
    assert picture(host.fold) == picture(replayed(host))


async def test_a_request_goes_out_once_whatever_crashes(tmp_path: Path) -> None:
    host = Host(trade, tmp_path / "log", {"agent:seller": Rule(7, 2)})
    host.hand_in(trade_orders, Order("o-1", 5))
    await host.advance(1)
    for _ in range(3):
        host.flush()
        host.crash()
        await host.advance(0.1)
    await host.settle()
    assert host.row(trade_notes, "o-1").text == "7 euros"
    assert len([body for body in host.bodies(Decided) if body.agent == "seller"]) == 1


async def test_waiting_makes_no_entries(tmp_path: Path) -> None:
    host = Host(follow_app, tmp_path / "log")
    host.hand_in(follow_orders, Order("o-1", 5))
    await host.advance(1)
    before = len(host.entries())
    await host.advance(86_400)
    assert len(host.entries()) == before
    assert host.bodies(Passed) == []


async def test_mail_for_what_a_turn_does_not_ask_any_more_holds_nobody_up(tmp_path: Path) -> None:
    """The first of two events ends the turn, since the world has changed as well; the second one is nobody's."""
    app = App("either")
    flags = app.table("flags", Note, key=Note.order_id)
    starts = app.stream("starts", Order, key=Order.order_id)
    news = app.stream("news", Parcel, key=Parcel.order_id)
    done = app.table("done", Note, key=Note.order_id)

    @app.agent(wakes_on=starts)
    async def either(turn: Turn, order: Order) -> None:
        if flags.get(order.order_id) is None:
            await turn.gather(turn.next(news, key="a"), turn.next(news, key="b"))
        turn.put(done, Note(order.order_id, "done"))

    host = Host(app, tmp_path / "log")
    host.hand_in(starts, Order("o-1", 5))
    await host.advance(0.001)  # so lately that the turn is not looked at again before the news
    host.hand_in(flags, Note("o-1", "hurry"))
    host.hand_in(news, Parcel("a", "x"), Parcel("b", "y"))
    await host.advance(0.001)
    await host.settle()
    assert host.row(done, "o-1").text == "done"
    assert host.fold.running == {}
    assert picture(host.fold) == picture(replayed(host))


async def test_an_event_that_comes_at_the_very_end_of_a_wait_is_given(tmp_path: Path) -> None:
    app = App("last")
    asked_for = app.stream("orders", Order, key=Order.order_id)
    parcels = app.stream("parcels", Parcel, key=Parcel.order_id)
    seen: list[tuple[str, str | None]] = []

    @app.agent(wakes_on=asked_for)
    async def wait(turn: Turn, order: Order) -> None:
        came = await turn.next(parcels, key="p", until=turn.now() + timedelta(seconds=5))
        seen.append((order.order_id, None if came is None else came.state))
        turn.emit(parcels, Parcel("p", f"told by {order.order_id}"))

    host = Host(app, tmp_path / "log")
    host.hand_in(asked_for, Order("a", 1), Order("b", 2))
    await host.settle()
    assert seen == [("a", None), ("b", "told by a")]
    assert picture(replayed(host)) == picture(host.fold)
