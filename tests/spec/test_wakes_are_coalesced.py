"""Wakes are coalesced per agent and key, with `quiet` and `max_wait`, and served by priority."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import App, Record, Turn
from tests.hosts import Host, replayed
from tests.picture import picture


class Click(Record):
    customer: str
    page: str


class Seen(Record):
    customer: str
    pages: tuple[str, ...]


def clicking(**options: Any) -> tuple[App, Any, list[tuple[float, list[str]]]]:
    app = App("clicks")
    clicks = app.stream("clicks", Click, key=Click.customer)
    seen: list[tuple[float, list[str]]] = []

    @app.agent(wakes_on=clicks, **options)
    async def follow(turn: Turn, click: Click) -> None:
        seen.append((turn.now().timestamp() % 86_400, [one.page for one in turn.events]))

    return app, clicks, seen


async def test_a_turn_begins_when_nothing_has_changed_for_a_while(tmp_path: Path) -> None:
    app, clicks, seen = clicking(quiet=timedelta(seconds=2))
    host = Host(app, tmp_path / "log")
    for page in "abc":
        host.hand_in(clicks, Click("ann", page))
        await host.advance(1.5)
    await host.settle()
    assert seen == [(5.0, ["a", "b", "c"])]


async def test_but_it_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    app, clicks, seen = clicking(quiet=timedelta(seconds=2), max_wait=timedelta(seconds=4))
    host = Host(app, tmp_path / "log")
    for page in "abcdef":
        host.hand_in(clicks, Click("ann", page))
        await host.advance(1.5)
    await host.settle()
    assert seen == [(4.0, ["a", "b", "c"]), (8.5, ["d", "e", "f"])]


async def test_keys_do_not_disturb_each_other(tmp_path: Path) -> None:
    app, clicks, seen = clicking(quiet=timedelta(seconds=2))
    host = Host(app, tmp_path / "log")
    host.hand_in(clicks, Click("bob", "x"))
    for page in "abc":
        host.hand_in(clicks, Click("ann", page))
        await host.advance(1.5)
    await host.settle()
    assert seen == [(2.0, ["x"]), (5.0, ["a", "b", "c"])]


@pytest.mark.parametrize("snapshot", [False, True])
async def test_what_waits_survives_a_crash_and_waits_as_long(tmp_path: Path, snapshot: bool) -> None:
    app, clicks, seen = clicking(quiet=timedelta(seconds=2))
    host = Host(app, tmp_path / "log")
    for page in "abc":
        host.hand_in(clicks, Click("ann", page))
        await host.advance(1.5)
        host.flush()
        if snapshot:
            host.engine.keep_snapshot()
        host.crash(away=0.000001)
    await host.settle()
    assert [(round(at, 3), pages) for at, pages in seen] == [(5.0, ["a", "b", "c"])]
    assert picture(host.fold) == picture(replayed(host))


async def test_a_view_that_went_there_and_back_wakes_nobody(tmp_path: Path) -> None:
    app = App("stock")
    pages = app.table("pages", Click, key=Click.customer)
    woken: list[str] = []

    @app.view(over=pages)
    def page(click: Click) -> str | None:
        return click.page

    @app.agent(wakes_on=page, quiet=timedelta(seconds=2))
    async def look(turn: Turn, value: str) -> None:
        woken.append(value)

    host = Host(app, tmp_path / "log")
    await host.send(pages, Click("ann", "a"))
    for value in "ba":
        host.hand_in(pages, Click("ann", value))
        await host.advance(1)
    await host.settle()
    assert woken == ["a"]


async def test_agents_of_higher_priority_come_first(tmp_path: Path) -> None:
    app = App("desk")
    clicks = app.stream("clicks", Click, key=Click.customer)
    order: list[str] = []

    def agent(name: str, priority: int) -> None:
        async def look(turn: Turn, click: Click) -> None:
            order.append(f"{name} {click.customer}")

        look.__name__ = name
        app.agent(wakes_on=clicks, priority=priority)(look)

    agent("low", -1)
    agent("usual", 0)
    agent("high", 5)
    host = Host(app, tmp_path / "log")
    await host.send(clicks, Click("ann", "a"), Click("bob", "b"))
    assert order == ["high ann", "high bob", "usual ann", "usual bob", "low ann", "low bob"]
