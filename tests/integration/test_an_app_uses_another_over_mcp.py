"""An app uses what another one publishes, over HTTP: each is a stranger to the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, Http, McpServer, PermanentError, Record, TransientError, Turn
from extrovert.connectors.mcp.connection import told_by
from extrovert.connectors.mcp.reaching import Way
from extrovert.connectors.mcp.tool_file import written
from extrovert.core.log import Decided
from extrovert.engine.loop import Engine
from tests.hosts import body, until

TOKEN = "canary-of-a-token-0123456789"


class Stock(Record):
    article: str
    left: int


class Order(Record):
    order: str
    article: str
    state: str = "open"


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_TOKEN", TOKEN)


class Store:
    def __init__(self) -> None:
        self.app = App("store")
        self.stock = self.app.table("stock", Stock, key=Stock.article)
        self.app.publish(self.stock)

    @asynccontextmanager
    async def open(self, data: Path, port: int = 0) -> AsyncGenerator[tuple[Engine, int]]:
        http = Http(port=port, token_env="STORE_TOKEN")
        async with self.app.serving(data / "store", beside=[http]) as engine:
            yield engine, int(http.url.rpartition(":")[2])


async def tools_of(port: int, to: Path) -> Path:
    to.write_bytes(written(await told_by(Way(url=f"http://127.0.0.1:{port}/mcp", token_env="STORE_TOKEN"))))
    return to


def store_at(app: App, port: int, tools: Path, **options: Any) -> McpServer:
    options = {"token_env": "STORE_TOKEN", **options}
    return app.mcp("store", url=f"http://127.0.0.1:{port}/mcp", tools=tools, **options)


async def test_a_turn_looks_at_the_other_and_looks_again_when_that_is_old(tmp_path: Path) -> None:
    store = Store()
    async with store.open(tmp_path) as (engine, port):
        await engine.send(store.stock, [Stock("lamp", 3)])
        shop = App("shop")
        orders = shop.table("orders", Order, key=Order.order)
        kept = shop.table("kept", Order, key=Order.order)
        (look,) = store_at(shop, port, await tools_of(port, tmp_path / "store.json")).looks(max_age=timedelta(hours=1))

        @shop.agent(wakes_on=orders)
        async def confirm(turn: Turn, order: Order) -> None:
            found = (await look(turn, article=order.article)).read(dict[str, Any])
            turn.put(kept, order.but(state=f"{found['row']['left']} left"))

        async with shop.serving(tmp_path / "shop") as ours:
            await ours.send(orders, [Order("o1", "lamp")])
            await until(lambda: ours.quiet)
            await engine.send(store.stock, [Stock("lamp", 2)])
            await ours.send(orders, [Order("o2", "lamp")])
            await until(lambda: ours.quiet)
            with ours.reading():
                assert [row.state for row in kept.all()] == ["3 left", "2 left"]
            decided = [one for entry in ours.store.entries() if isinstance(one := body(entry), Decided)]
            assert all(len(one.answers) == 1 for one in decided)
        assert TOKEN.encode() not in (tmp_path / "shop" / "log.sqlite").read_bytes()


async def test_one_that_is_stopped_and_started_again_is_found_again(tmp_path: Path) -> None:
    store = Store()
    async with store.open(tmp_path) as (engine, port):
        await engine.send(store.stock, [Stock("lamp", 3)])
        tools = await tools_of(port, tmp_path / "store.json")
        server = store_at(App("shop"), port, tools, timeout=timedelta(seconds=3))
        assert (await server.call("look_up_stock", {"article": "lamp"})).given["row"]["left"] == 3
    with pytest.raises(Exception, match="MCP server `store`"):
        await server.call("look_up_stock", {"article": "lamp"})
    async with store.open(tmp_path, port):
        assert (await server.call("look_up_stock", {"article": "lamp"})).given["row"]["left"] == 3
        await server.close()


async def test_what_the_other_says_is_wrong_is_a_result(tmp_path: Path) -> None:
    store = Store()
    async with store.open(tmp_path) as (_, port):
        server = store_at(App("shop"), port, await tools_of(port, tmp_path / "store.json"))
        result = await server.call("look_up_stock", {})
        assert result.failed
        assert "Object missing required field `article`" in result.text
        with pytest.raises(PermanentError, match="The tool failed"):
            result.read(dict[str, Any])
        await server.close()


async def test_a_wrong_token_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    async with store.open(tmp_path) as (_, port):
        tools = await tools_of(port, tmp_path / "store.json")
        monkeypatch.setenv("OTHER", "another-canary-9876543210")
        server = store_at(App("shop"), port, tools, token_env="OTHER")
        with pytest.raises(TransientError, match="MCP server `store` cannot be reached") as raised:
            await server.call("look_up_stock", {"article": "lamp"})
        assert "canary" not in str(raised.value)
        monkeypatch.delenv("OTHER")
        with pytest.raises(PermanentError, match="environment variable OTHER"):
            await server.call("look_up_stock", {"article": "lamp"})
