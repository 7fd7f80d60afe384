"""Whatever breaks off, is refused or shifts meanwhile: the words that a client has read last are those committed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from extrovert.engine.loop import Engine
from extrovert.testing import ModelServer
from tests.hosts import until
from tests.integration.test_a_chat_over_http import events_of
from tests.integration.test_words_of_a_chat_over_http import Desk, Trip, key, opened

__all__ = ["key"]

ROUNDS = 20


def planned(server: ModelServer, draw: random.Random) -> None:
    """What the model does next: at most as much goes wrong as a turn bears."""
    for what in draw.choices(("cut", "never", "said"), (1, 1, 3), k=4)[: draw.randrange(5)]:
        if what == "cut":
            server.cuts()
        else:
            words = draw.choices(("late", "on", "time", "soon"), k=draw.randrange(1, 5))
            server.answers(" ".join(["Never" if what == "never" else "You", *words]))
    server.answers("You", "You are", "You are here.")


async def meddle(desk: Desk, server: ModelServer, engine: Engine, draw: random.Random) -> None:
    """Changes what is read, and when words come."""
    for _ in range(draw.randrange(6)):
        for _ in range(draw.randrange(60)):
            await asyncio.sleep(0)
        match draw.randrange(4):
            case 0:
                server.hold(after=draw.randrange(4))
            case 1:
                server.release()
            case 2:
                await engine.send(desk.weather, [Trip("anyone", draw.randrange(100))])
            case _:
                await engine.send(desk.trips, [Trip("anyone", draw.randrange(100))])
    server.release()


async def kept(coming: AsyncIterator[Any], heard: list[Any]) -> None:
    async for one in coming:
        heard.append(one)


async def test_the_words_read_last_are_those_committed(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed: {seed}")
    draw = random.Random(seed)
    corrected = 0
    async with opened(tmp_path) as (desk, server, engine):
        heard: list[Any] = []
        async with events_of(desk.http, "/chat/assistant/mine/events") as coming:
            listens = asyncio.create_task(kept(coming, heard))
            for number in range(ROUNDS):
                planned(server, draw)
                text = f"Question {number}"
                read, _ = await asyncio.gather(desk.says(text), meddle(desk, server, engine, draw))
                corrected += read.count("[Correction: ")
                with engine.reading():
                    (asked,) = [one for one in desk.talks.messages.all() if one.text == text]
                    (answer,) = [one for one in desk.talks.messages.all() if one.said == asked.said and one != asked]
                assert read.rpartition("]\n\n")[2] == answer.text
                await until(lambda: engine.quiet)
            await until(lambda: heard[-1]["type"] == "answer" and heard[-1]["said"]["number"] == last(desk, engine))
            listens.cancel()
            await asyncio.gather(listens, return_exceptions=True)
    assert corrected
    check(heard)


def last(desk: Desk, engine: Engine) -> int:
    with engine.reading():
        return max(one.number for one in desk.talks.messages.all())


def check(heard: list[Any]) -> None:
    """What was asked and what was not is two voices; each says, since its last correction, what is then committed."""
    says = {False: "", True: ""}
    for one in heard:
        match one["type"]:
            case "words":
                says[one["unasked"]] += one["text"]
            case "corrected":
                says[one["unasked"]] = ""
            case "answer":
                unasked = not one["said"]["to"]
                assert says[unasked] == one["said"]["text"]
                says[unasked] = ""
            case other:
                pytest.fail(f"{other} was heard")
    assert not any(says.values())
