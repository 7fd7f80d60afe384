"""Why an agent has not acted on a key can always be told: it was not woken, its wake waits, or its turn does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from extrovert import App, Record, Turn
from extrovert.engine.why_not import Because, why_not
from extrovert.testing.world import START
from tests.hosts import Host, Rule
from tests.spec.airline import Booking, Flight
from tests.spec.test_stale_context_holds_a_turn import Airline


class Item(Record):
    name: str
    size: int = 0


class Shop:
    """An app with one agent, which waits as the size of an item says."""

    def __init__(self, *, asks: Any = None, on: str = "view", **options: Any) -> None:
        self.app = app = App("shop")
        self.items = app.table("items", Item, key=Item.name)
        self.news = app.stream("news", Item, key=Item.name)
        self.options = options

        @app.view(over=self.items)
        def big(item: Item) -> Item | None:
            if item.size == 13:
                raise ValueError("unlucky")
            return item if item.size > 10 else None

        source: Any = {"view": big, "table": self.items, "stream": self.news}[on]

        @app.agent(wakes_on=source, model="policy:any", **options)
        async def judge(turn: Turn, item: Item) -> None:
            if asks is not None:
                await asks(turn, item)

        app.policy(any_policy)
        self.judge = judge

    def host(self, path: Path) -> Host:
        return Host(self.app, path, {"policy:any": Rule(1, 60)})


def any_policy(about: str) -> int:
    return 1


any_policy.__name__ = "any"


async def thinks(turn: Turn, item: Item) -> None:
    await turn.ask(item.name, output=int)


def because(shop: Shop, host: Host, key: str) -> Because:
    return why_not(host.fold, shop.judge, key, host.clock.now_us(), acting=True)


async def test_there_is_nothing_to_wake_for(tmp_path: Path) -> None:
    def not_even(item: Item) -> bool:
        return item.size != 20

    shop = Shop(when=not_even)
    host = shop.host(tmp_path / "log")
    for item in (Item("small", 1), Item("odd", 13), Item("big", 15), Item("even", 20)):
        await host.send(shop.items, item)
    found = {name: because(shop, host, name) for name in ("none", "small", "odd", "big", "even")}
    assert {one.state for one in found.values()} == {"idle"}
    assert {name: one.because for name, one in found.items()} == {
        "none": ["The table `items`, which view `big` is over, has no row `none`."],
        "small": ["The view `big` gives None for it, and its parameter does not accept None."],
        "odd": ["The view `big` has no value for it, since it raised: ValueError: unlucky"],
        "big": ["What view `big` has now (offset 3) is what its latest turn has seen."],
        "even": ["Its when= does not hold for what view `big` has now (offset 5)."],
    }


async def test_on_a_table_or_a_stream_too(tmp_path: Path) -> None:
    shop = Shop(on="table")
    host = shop.host(tmp_path / "table")
    assert because(shop, host, "A").because == [
        "The table `items` has no row `A`, and its parameter does not accept None."
    ]
    shop = Shop(on="stream")
    host = shop.host(tmp_path / "stream")
    assert because(shop, host, "A").because == [
        "No event under this key has come on stream `news` that it has not seen."
    ]


async def test_a_wake_waits(tmp_path: Path) -> None:
    shop = Shop(on="table", rest=timedelta(minutes=5))
    host = shop.host(tmp_path / "rest")
    host.hand_in(shop.items, Item("A", 1))
    await host.advance(1)
    host.hand_in(shop.items, Item("A", 2))
    await host.advance(1)
    found = because(shop, host, "A")
    assert (found.state, found.because) == (
        "due",
        [
            "A change of `items` has woken it at 2026-01-01 00:00:01 UTC (offset 3).",
            "After its latest turn the key is left alone until 2026-01-01 00:05:00 UTC (rest=).",
        ],
    )
    shop = Shop(on="table", quiet=timedelta(minutes=1))
    host = shop.host(tmp_path / "quiet")
    host.hand_in(shop.items, Item("A", 1))
    await host.advance(1)
    assert because(shop, host, "A").because[1:] == [
        "It waits for the changes to calm down, until 2026-01-01 00:01:00 UTC or later (quiet=, max_wait=)."
    ]
    shop = Shop(on="table", concurrency=1, asks=thinks)
    host = shop.host(tmp_path / "many")
    host.hand_in(shop.items, Item("A"), Item("B"), Item("C"))
    await host.advance(1)
    assert because(shop, host, "C").because[1:] == ["It has no more than 1 at a time (concurrency=); 2 wait, by age."]


async def test_a_turn_that_waits_for_a_person_holds_nobody_up(tmp_path: Path) -> None:
    async def asks_a_person(turn: Turn, item: Item) -> None:
        await turn.approval(item)

    shop = Shop(on="table", concurrency=1, asks=asks_a_person, quiet=timedelta(seconds=10))
    host = shop.host(tmp_path / "log")
    host.hand_in(shop.items, Item("A"))
    await host.advance(11)
    host.hand_in(shop.items, Item("B"))
    await host.advance(1)
    assert [one.split(",")[0] for one in because(shop, host, "B").because[1:]] == [
        "It waits for the changes to calm down"
    ]


async def test_a_turn_waits(tmp_path: Path) -> None:
    async def waits(turn: Turn, item: Item) -> None:
        if item.name == "later":
            await turn.sleep_until(START + timedelta(hours=1))
        elif item.name == "person":
            await turn.approval("really?", who="ann", until=START + timedelta(hours=2))
        elif item.name == "event":
            await turn.next(shop.news, key="N1")
        elif item.name == "wrong":
            raise ValueError("wrong")
        else:
            await turn.ask(f"{item}", output=int)

    shop = Shop(on="table", asks=waits, retry_after=timedelta(minutes=10))
    host = shop.host(tmp_path / "log")
    host.hand_in(shop.items, *(Item(name) for name in ("later", "person", "event", "wrong", "model")))
    await host.advance(1)
    host.hand_in(shop.items, Item("model", 1))
    await host.advance(1)
    found = {name: because(shop, host, name) for name in ("later", "person", "event", "wrong", "model")}
    assert {one.state for one in found.values()} == {"running"}
    assert found["later"].turn == "judge:later@1"
    since = "Since 2026-01-01 00:00:00 UTC it waits"
    assert {name: one.because for name, one in found.items()} == {
        "later": [f"{since} until 2026-01-01 01:00:00 UTC."],
        "person": [f"{since} for an approval by ann, until 2026-01-01 02:00:00 UTC (extrovert approvals)."],
        "event": [f"{since} for an event of `N1` on stream `news`."],
        "wrong": ["It has failed once, and is tried again at 2026-01-01 00:10:00 UTC."],
        "model": [
            "Since 2026-01-01 00:00:01 UTC it waits for an answer of `policy:any`.",
            "It has asked anew once because of changes, the latest of items/model.",
        ],
    }


async def test_an_engine_that_does_not_run_says_so(tmp_path: Path) -> None:
    shop = Shop(on="table", asks=thinks)
    host = shop.host(tmp_path / "log")
    host.hand_in(shop.items, Item("A"))
    await host.advance(1)
    found = why_not(host.fold, shop.judge, "A", host.clock.now_us(), acting=False)
    assert found.because[-1] == "The app does not run; it goes on when it does: extrovert run"


async def test_a_turn_is_held_because_what_it_reads_is_too_old(tmp_path: Path) -> None:
    airline = Airline()
    host = airline.host(tmp_path)
    agent = host.fold.agents["place"]
    too_old = "What it reads is older than it may be (fresh_within=), so it is held until it hears of the sources of "
    await host.send(airline.bookings, Booking("B1", "F1"))
    found = why_not(host.fold, agent, "B1", host.clock.now_us(), acting=True)
    assert (found.state, found.because) == (
        "running",
        [f"{too_old}stream `flights`, which was never heard: extrovert freshness"],
    )
    await host.send(airline.feed, Flight("F1"))
    await host.advance(6)
    await host.send(airline.bookings, Booking("B1", "F1", "C2"))
    assert why_not(host.fold, agent, "B1", host.clock.now_us(), acting=True).because == [
        f"{too_old}stream `flights`, which was last heard at 2026-01-01 00:00:00 UTC: extrovert freshness"
    ]
