"""A client reads a model's words while it says them, over real HTTP on both sides; what does not hold is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from extrovert import App, Calls, Http, Open, Record, Refuse, Talk, Turn
from extrovert.engine.loop import Engine
from extrovert.testing import ModelServer
from extrovert.turns.exchange import Calling
from tests.hosts import until
from tests.integration.test_a_chat_over_http import events_of, run, seen

CHANGED = "\n\n[Correction: what I just said does not hold any more, because something has changed.]\n\n"
WRONG = "\n\n[Correction: what I just said does not hold.]\n\n"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


class Trip(Record):
    user: str
    late: int = 0


def speaks_of(talk: Talk[Trip], word: str) -> bool:
    return any(word in text for text in (*talk.said, *(message.text for message in talk.messages)))


class Desk:
    """An app with a chat, of which a model's server says the words; a client of it, and what that has read."""

    def __init__(self, server: ModelServer, *, streams: bool = True) -> None:
        self.server = server
        self.app = App("desk")
        self.trips = self.app.table("trips", Trip, key=Trip.user)
        self.weather = self.app.table("weather", Trip, key=Trip.user)
        self.talks = self.app.conversations("desk")
        self.read = ""
        self.http = Http(port=0)
        model = self.app.model("fast", "openai:gpt-5-mini", base_url=server.url)

        @self.app.view(over=self.talks.open)
        def trip(talk: Open) -> Trip | None:
            return self.trips.get(talk.user)

        def seats() -> int:
            """Seats left."""
            return 3

        @self.app.chat(self.talks, rests_on=trip, model=model, streams=streams, retry_after=timedelta(0))
        async def assistant(turn: Turn, talk: Talk[Trip]) -> str:
            """You help passengers."""
            self.weather.get(talk.user)  # it is read, and not told
            tools = [seats] if speaks_of(talk, "seats") else []
            text = await turn.ask(talk.prompt(talk.ground), output=str, tools=tools)
            if text.startswith("Never"):
                raise Refuse("do not say never")
            if speaks_of(talk, "careful"):
                await turn.ask(f"May one say this? {text}", output=bool)
            return f"{text} Anything else?" if speaks_of(talk, "polite") else text

        self.chat = assistant

    @asynccontextmanager
    async def running(self, data: Path) -> AsyncGenerator[Engine]:
        async with self.app.serving(data, durability="os", beside=[self.http]) as engine:
            await engine.send(self.trips, [Trip("anyone")])
            async with AsyncOpenAI(base_url=f"{self.http.url}/v1", api_key="none", max_retries=0) as self.client:
                yield engine

    async def says(self, text: str) -> str:
        """Says something in the conversation "mine", and reads the stream of the answer to its end."""
        self.read = ""
        stream = await self.client.chat.completions.create(
            model="assistant",
            messages=[{"role": "user", "content": text}],
            stream=True,
            extra_headers={"x-conversation-id": "mine"},
        )
        async for chunk in stream:
            self.read += chunk.choices[0].delta.content or ""
        return self.read

    def last(self, engine: Engine) -> str:
        """What was said last, as it is remembered."""
        with engine.reading():
            return max(self.talks.messages.all(), key=lambda one: one.number).text


@asynccontextmanager
async def opened(data: Path, *, streams: bool = True) -> AsyncGenerator[tuple[Desk, ModelServer, Engine]]:
    async with ModelServer() as server:
        desk = Desk(server, streams=streams)
        async with asyncio.timeout(30), desk.running(data) as engine:
            yield desk, server, engine


async def test_words_are_read_before_the_answer_is_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.answers("You are on time.")
        server.hold(after=2)
        reads = asyncio.create_task(desk.says("On time?"))
        await until(lambda: desk.read == "You are")
        server.release()
        assert await reads == desk.last(engine) == "You are on time."


async def test_words_whose_ground_shifts_are_corrected_openly(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.answers("You are on time.", "You are late.")
        server.hold(after=3)
        reads = asyncio.create_task(desk.says("On time?"))
        await until(lambda: desk.read == "You are on")
        await engine.send(desk.trips, [Trip("anyone", 50)])
        await until(lambda: desk.read.startswith(f"You are on{CHANGED}"))  # at once, before there is anything else
        server.release()
        assert await reads == f"You are on{CHANGED}You are late."
        assert desk.last(engine) == "You are late."


async def test_words_go_on_where_what_has_changed_makes_no_other_question(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.answers("You are on time.", "You are late.")
        server.hold(after=3)
        reads = asyncio.create_task(desk.says("On time?"))
        await until(lambda: desk.read == "You are on")
        await engine.send(desk.weather, [Trip("anyone", 50)])
        server.release()
        assert await reads == desk.last(engine) == "You are on time."
        assert len(server.asked) == 1


async def test_a_chat_may_keep_its_words_until_they_are_committed(tmp_path: Path) -> None:
    async with opened(tmp_path, streams=False) as (desk, server, engine):
        server.answers("Never mind.", "You are on time.")
        assert await desk.says("On time?") == desk.last(engine) == "You are on time."
        assert not server.asked[0].body.get("stream")


async def test_also_where_all_had_been_said_and_only_the_decision_was_not_made(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.answers("You are on time.", "You are late.", {"answer": True})
        server.hold(after=99)  # only what is not streamed
        reads = asyncio.create_task(desk.says("On time? Be careful."))
        await until(lambda: desk.read == "You are on time.")
        await server.request(1)
        await engine.send(desk.trips, [Trip("anyone", 50)])
        await until(lambda: CHANGED in desk.read)
        server.release()
        assert await reads == f"You are on time.{CHANGED}You are late."
        assert desk.last(engine) == "You are late."


async def test_words_that_are_refused_are_corrected(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.answers("Never mind.", "You are on time.")
        assert await desk.says("On time?") == f"Never mind.{WRONG}You are on time."
        assert desk.last(engine) == "You are on time."


async def test_words_that_break_off_are_corrected(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.cuts()
        server.answers("You are on time.")
        assert await desk.says("On time?") == f"A few words{WRONG}You are on time."
        assert desk.last(engine) == "You are on time."


async def test_what_the_app_adds_comes_after_and_what_a_model_says_on_the_way_stands_apart(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.answers(Calls([Calling("seats", {})], "Let me look."), "There are three.")
        assert await desk.says("How many seats? Be polite.") == "Let me look.\n\nThere are three. Anything else?"
        assert desk.last(engine) == "There are three. Anything else?"


async def test_a_client_that_goes_away_in_the_middle_stops_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.answers("You are on time.")
        server.hold(after=2)
        reads = asyncio.create_task(desk.says("On time?"))
        await until(lambda: desk.read == "You are")
        reads.cancel()
        await asyncio.gather(reads, return_exceptions=True)
        await until(lambda: not engine.shard.following.followed)
        server.release()
        await until(lambda: engine.quiet)
        assert desk.last(engine) == "You are on time."


async def test_front_ends_hear_corrections_as_events_and_words_that_nobody_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.answers("You are on time.", "You are late.", "You are later.")
        server.hold(after=3)
        async with events_of(desk.http, "/chat/assistant/mine/events") as coming:
            talks = asyncio.create_task(ag_ui(desk, run(1, ("user", "On time?"))))
            told = [await anext(coming) for _ in range(3)]
            await engine.send(desk.trips, [Trip("anyone", 50)])
            told.append(await anext(coming))
            server.release()
            told += [await anext(coming) for _ in range(4)]
            server.hold(after=2)
            await engine.send(desk.trips, [Trip("anyone", 60)])
            unasked = [await anext(coming) for _ in range(2)]
            server.release()
            unasked += [await anext(coming) for _ in range(2)]
        assert [(one["type"], one.get("text")) for one in told] == [
            *(("words", word) for word in ("You", " are", " on")),
            ("corrected", None),
            *(("words", word) for word in ("You", " are", " late.")),
            ("answer", None),
        ]
        assert told[3] == {"type": "corrected", "unasked": False}  # names of rows are not theirs to know
        assert [(one.get("text"), one.get("unasked")) for one in unasked] == [
            *((word, True) for word in ("You", " are", " later.")),
            (None, None),
        ]
        assert [(kind, words) for kind, words in await talks if kind != "TEXT_MESSAGE_CONTENT" or words] == [
            ("RUN_STARTED", ""),
            ("TEXT_MESSAGE_START", ""),
            *(("TEXT_MESSAGE_CONTENT", word) for word in ("You", " are", " on")),
            ("TEXT_MESSAGE_END", ""),
            ("CUSTOM", ""),
            ("TEXT_MESSAGE_START", ""),
            *(("TEXT_MESSAGE_CONTENT", word) for word in ("You", " are", " late.")),
            ("TEXT_MESSAGE_END", ""),
            ("RUN_FINISHED", ""),
        ]


async def ag_ui(desk: Desk, body: Any) -> list[tuple[str, str]]:
    async with events_of(desk.http, "/agui/assistant", body) as coming:
        return await seen(coming)


async def test_words_that_nobody_asked_for_give_way_to_an_answer(tmp_path: Path) -> None:
    async with opened(tmp_path) as (desk, server, engine):
        server.answers("You are on time.", "You are late.", "Late, by an hour.")
        await desk.says("On time?")
        async with events_of(desk.http, "/chat/assistant/mine/events") as coming:
            server.hold(after=2)
            await engine.send(desk.trips, [Trip("anyone", 60)])
            told = [await anext(coming) for _ in range(2)]
            reads = asyncio.create_task(desk.says("And now?"))
            told.append(await anext(coming))
            server.release()
            assert await reads == "Late, by an hour."
            assert [(one["type"], one["unasked"]) for one in told] == [
                ("words", True),
                ("words", True),
                ("corrected", True),
            ]
        assert desk.last(engine) == "Late, by an hour."
