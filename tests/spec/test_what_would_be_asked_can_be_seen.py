"""What an agent would ask about a key now can be seen, and to look changes nothing: no entry, no call, no read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from extrovert import App, Prompt, Record, Section, Turn
from extrovert.engine.candidates import named
from extrovert.engine.prompting import WouldAsk, would_ask
from tests.hosts import Host, Rule
from tests.picture import picture


class Item(Record):
    name: str
    size: int = 20


class Shop:
    """An app with an agent that asks twice about an item, and once about prices, which come from outside."""

    def __init__(self, *, on: str = "table", **options: Any) -> None:
        self.app = app = App("shop")
        self.items = app.table("items", Item, key=Item.name)
        self.price_feed = app.stream("price_feed", Item, key=Item.name)
        self.prices = app.table("prices", Item, key=Item.name, source=self.price_feed)
        self.news = app.stream("news", Item, key=Item.name)

        @app.view(over=self.items)
        def big(item: Item) -> Item | None:
            return item if item.size > 10 else None

        @app.policy
        def careful(about: str) -> int:
            return 1

        options = {name: careful if value == "careful" else value for name, value in options.items()}
        source: Any = {"view": big, "table": self.items, "stream": self.news}[on]

        @app.agent(wakes_on=source, model=app.model("fast", "openai:m"), max_tries=1, **options)
        async def judge(turn: Turn, item: Item) -> None:
            """You judge."""
            sections = Section("Item", item), Section("Price", self.prices.get("p"))
            first = await turn.ask(Prompt("How much?", *sections), output=int)
            await turn.ask(f"You said {first}. Sure?", output=bool)

    def host(self, path: Path | None = None) -> Host:
        return Host(self.app, path, {"model:fast": Rule(lambda about: 5 if about.startswith("How") else True, 10)})


def seen(host: Host, key: str, latest: list[tuple[int, Any]] | None = None) -> WouldAsk:
    """What would be asked; nothing has changed by it."""
    before, entries = picture(host.fold), host.entries()
    found = would_ask(host.engine.shard, named(host.declared, "judge"), key, lambda _key: latest or [])
    assert picture(host.fold) == before
    assert host.entries() == entries
    assert host.engine.shard.calls == []
    return found


async def test_a_key_without_a_turn_is_shown_as_if_it_woke_now() -> None:
    shop = Shop()
    host = shop.host()
    await host.send(shop.items, Item("a"))
    found = seen(host, "a")
    assert (found.turn, found.because) == ("", ["No wake is due; as if one were."])
    (wish,) = found.wishes
    assert (wish.kind, wish.model, wish.instructions, wish.in_flight) == ("ask", "model:fast", "You judge.", False)
    about = msgspec.json.decode(wish.about)
    assert about.startswith("How much?\n")
    assert wish.text_tokens == -(-len(about.encode()) // 4)
    assert [(one.of, one.at, one.version) for one in wish.lines] == [("items", "a", 1)]
    assert bytes(wish.schema) == b'{"type":"integer"}'


async def test_a_turn_that_waits_is_shown_with_what_it_waits_for_and_then_with_what_comes_next() -> None:
    shop = Shop()
    host = shop.host()
    host.hand_in(shop.items, Item("a"))
    await host.advance(1)
    found = seen(host, "a")
    assert (found.turn, found.answers, [wish.in_flight for wish in found.wishes]) == ("judge:a@1", 0, [True])
    await host.advance(10)
    found = seen(host, "a")
    (wish,) = found.wishes
    assert (found.answers, wish.in_flight) == (1, True)
    assert bytes(wish.about) == b'"You said 5. Sure?"'
    host.hand_in(shop.items, Item("a", 30))
    assert [wish.in_flight for wish in seen(host, "a").wishes] == [False]  # it would ask something else
    await host.settle()
    assert len(host.decisions()) == 1


async def test_a_wake_that_waits_is_said() -> None:
    shop = Shop(quiet=timedelta(seconds=60))
    host = shop.host()
    host.hand_in(shop.items, Item("a"))
    assert seen(host, "a").because == ["Its wake is due."]


async def test_where_there_is_nothing_to_ask_about_it_is_said_why() -> None:
    def wanted(item: Item) -> bool:
        return item.name != "c"

    shop = Shop(on="view", when=wanted)
    host = shop.host()
    await host.send(shop.items, Item("a", 5), Item("c"))
    for key in ("a", "b", "c"):
        found = seen(host, key)
        assert found.wishes == []
        assert found.because[-1] == (
            "The view `big` has nothing for this key, or its when= does not hold for it, and its parameter does not "
            "accept None."
        )


async def test_an_agent_on_a_stream_is_shown_with_what_waits_or_with_what_it_saw_last() -> None:
    shop = Shop(on="stream", quiet=timedelta(seconds=60))
    host = shop.host()
    assert seen(host, "a").because == ["No event of stream `news` under this key is known, which it could be about."]
    host.hand_in(shop.news, Item("a", 7))
    found = seen(host, "a")
    assert found.because == ["Its wake is due."]
    assert [(one.of, one.at, one.version) for one in found.wishes[0].lines] == [("news", "a", 1)]
    await host.settle()
    found = seen(host, "a", [(1, Item("a", 7))])
    assert found.because == ["No event waits; this is about those that its latest turn saw."]
    assert "size: 7" in msgspec.json.decode(found.wishes[0].about)


async def test_that_nothing_would_be_asked_on_old_context_is_said() -> None:
    shop = Shop(fresh_within=timedelta(seconds=5))
    host = shop.host()
    host.hand_in(shop.price_feed, Item("p"))
    await host.advance(60)
    host.hand_in(shop.items, Item("a"))
    (said,) = [line for line in seen(host, "a").because if "would not be asked" in line]
    assert "stream `price_feed` was last heard 60 s before, and 5 s are allowed" in said


async def test_a_fallback_for_old_context_is_shown_as_the_one_that_is_asked() -> None:
    shop = Shop(fresh_within=timedelta(seconds=5), stale="careful")
    host = shop.host()
    host.hand_in(shop.price_feed, Item("p"))
    await host.advance(60)
    host.hand_in(shop.items, Item("a"))
    found = seen(host, "a")
    assert [wish.model for wish in found.wishes] == ["policy:careful"]
    assert found.because[-1] == "Its fallback would be asked, since nothing was heard on price_feed for too long."


async def test_an_error_on_the_way_is_said() -> None:
    app = App("shop")
    items = app.table("items", Item, key=Item.name)

    @app.agent(wakes_on=items, max_tries=1)
    async def judge(turn: Turn, item: Item) -> None:
        raise ValueError("no scale")

    host = Host(app, None)
    await host.send(items, Item("a"))
    assert seen(host, "a").because[-1] == "It would fail: ValueError: no scale"
