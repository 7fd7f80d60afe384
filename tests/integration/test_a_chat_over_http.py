"""The `openai` client talks with an app as it is, and so do front ends of AG-UI and plain server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import openai
import pytest
from ag_ui.core import Event
from openai import AsyncOpenAI
from pydantic import TypeAdapter

from extrovert import App, Http, Open, Record, Talk, Turn
from extrovert.engine.loop import Engine
from tests.unit.surfaces.http.wire import ask

app = App("desk")


class Trip(Record):
    user: str
    late: int = 0


trips = app.table("trips", Trip, key=Trip.user)
talks = app.conversations("desk")


@app.view(over=talks.open)
def trip(talk: Open) -> Trip | None:
    return trips.get(talk.user)


asked: list[str] = []


@app.policy
def rules(prompt: str) -> str:
    asked.append(prompt)
    if "break" in prompt:
        raise ValueError("secret cause")
    said = prompt.splitlines()[-2].strip('"')
    return "You are late." if "has changed" in prompt else f"You said: {said}"


@app.chat(talks, rests_on=trip, model=rules, max_tries=1)
async def assistant(turn: Turn, talk: Talk[Trip]) -> str:
    return await turn.ask(talk.prompt(talk.ground), output=str)


@pytest.fixture(autouse=True)
def nothing_asked() -> None:
    asked.clear()


@asynccontextmanager
async def desk(path: Path, http: Http | None = None) -> AsyncGenerator[tuple[Engine, Http, AsyncOpenAI]]:
    http = http or Http(port=0)
    async with app.serving(path, durability="os", beside=[http]) as engine:
        client = AsyncOpenAI(base_url=f"{http.url}/v1", api_key="none", max_retries=0)
        async with client:
            yield engine, http, client


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def said(text: str) -> Any:
    return {"role": "assistant", "content": text}


async def test_the_chats_are_the_models(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, _, client):
        assert [model.id async for model in client.models.list()] == ["assistant"]
        assert (await client.models.retrieve("assistant")).owned_by == "extrovert"
        with pytest.raises(openai.NotFoundError, match=r"There is no model 'gpt'\. There are: assistant\."):
            await client.chat.completions.create(model="gpt", messages=[user("Hi")])


async def test_a_message_is_answered(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, _, client):
        found = await client.chat.completions.create(
            model="assistant", messages=[{"role": "system", "content": "Be rude."}, user("Hi")], temperature=0.5
        )
        assert found.choices[0].message.content == "You said: Hi"
        assert found.choices[0].finish_reason == "stop"
        assert found.usage is not None
        assert "rude" not in asked[0]


async def test_and_streamed_with_its_usage(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, _, client):
        stream = await client.chat.completions.create(
            model="assistant", messages=[user("Hi")], stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "You said: Hi"
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None


async def test_a_client_that_sends_all_that_went_before_stays_in_its_conversation(tmp_path: Path) -> None:
    async with desk(tmp_path) as (engine, _, client):
        talk = [user("one")]
        for text in ("two", "three"):
            found = await client.chat.completions.create(model="assistant", messages=talk)
            talk += [said(str(found.choices[0].message.content)), user(text)]
        await client.chat.completions.create(model="assistant", messages=talk)
        with engine.reading():
            assert [(row.count, row.user) for row in talks.memory.all()] == [(6, "anyone")]


async def test_two_conversations_that_begin_alike_are_two(tmp_path: Path) -> None:
    async with desk(tmp_path) as (engine, _, client):
        for _ in range(2):
            await client.chat.completions.create(model="assistant", messages=[user("Hi")])
        with engine.reading():
            assert [row.count for row in talks.memory.all()] == [2, 2]


async def test_so_do_many_that_have_said_the_same_so_far(tmp_path: Path) -> None:
    async with desk(tmp_path) as (engine, _, client):
        begun = [user("Hi"), said("You said: Hi")]
        for _ in range(5):
            await client.chat.completions.create(model="assistant", messages=begun[:1])
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(model="assistant", messages=[*begun, user(f"I am {number}")])
                for number in range(5)
            )
        )
        assert [one.choices[0].message.content for one in answers] == [f"You said: I am {n}" for n in range(5)]
        with engine.reading():
            assert [row.count for row in talks.memory.all()] == [4] * 5


async def test_what_was_said_elsewhere_is_taken_over(tmp_path: Path) -> None:
    async with desk(tmp_path) as (engine, _, client):
        before = [user("My city is Rome"), said("A fine one."), user("Where am I?")]
        await client.chat.completions.create(model="assistant", messages=before)
        claimed = '"said elsewhere, as the user tells it">\n["role","text"]\n'
        assert claimed + '["user","My city is Rome"]\n["assistant","A fine one."]' in asked[0]
        with engine.reading():
            assert [(one.text, one.told) for one in talks.messages.all()][:2] == [
                ("My city is Rome", True),
                ("A fine one.", True),
            ]


async def test_a_conversation_can_be_named(tmp_path: Path) -> None:
    async with desk(tmp_path) as (engine, _, client):
        by_header = await client.chat.completions.with_raw_response.create(
            model="assistant", messages=[user("one")], extra_headers={"x-conversation-id": "mine"}
        )
        assert by_header.headers["x-conversation-id"] == "mine"
        await client.chat.completions.create(
            model="assistant", messages=[user("two")], metadata={"conversation": "mine"}
        )
        with engine.reading():
            assert [(row.conversation, row.count) for row in talks.memory.all()] == [("anyone/mine", 4)]


async def test_a_name_that_no_header_can_hold_is_taken_too(tmp_path: Path) -> None:
    async with desk(tmp_path) as (engine, _, client):
        for _ in range(2):
            await client.chat.completions.create(
                model="assistant", messages=[user("one")], metadata={"conversation": "東京 7"}
            )
        with engine.reading():
            assert [(row.conversation, row.count) for row in talks.memory.all()] == [("anyone/東京 7", 4)]


async def test_a_request_that_comes_again_says_nothing_more(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, _, client):
        talk = [user("one")]
        for number in range(2):
            answers = [
                await client.chat.completions.create(
                    model="assistant", messages=talk, extra_headers={"idempotency-key": f"k{number}"}
                )
                for _ in range(2)
            ]
            assert len({one.choices[0].message.content for one in answers}) == 1
            talk += [said(str(answers[0].choices[0].message.content)), user("two")]
        assert len(asked) == 2
    async with desk(tmp_path) as (_, _, client):  # also in another life
        await client.chat.completions.create(
            model="assistant", messages=talk[:3], extra_headers={"idempotency-key": "k1"}
        )
        assert len(asked) == 2


async def test_a_retry_of_the_client_itself_says_nothing_more(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, _, client):
        for tries in range(2):
            await client.chat.completions.create(
                model="assistant", messages=[user("Hi")], extra_headers={"x-stainless-retry-count": str(tries)}
            )
        assert len(asked) == 1


async def test_what_cannot_be_answered_is_an_error_of_the_client(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, http, client):
        with pytest.raises(openai.APIStatusError, match="The assistant could not answer") as found:
            await client.chat.completions.create(model="assistant", messages=[user("break")])
        assert (found.value.status_code, "secret" in str(found.value)) == (502, False)
        with pytest.raises(openai.APIError, match="The assistant could not answer"):
            async for _ in await client.chat.completions.create(
                model="assistant", messages=[user("break")], stream=True
            ):
                pass
        for messages in (
            [],
            [said("Hi")],
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        ):
            with pytest.raises(openai.BadRequestError):
                await client.chat.completions.create(model="assistant", messages=messages)  # pyright: ignore[reportArgumentType]
        with pytest.raises(openai.BadRequestError, match="leave out `n`"):
            await client.chat.completions.create(model="assistant", messages=[user("Hi")], n=2)
        answer = await ask(http, "/v1/chat/completions", b"{", method="POST")
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


async def test_an_answer_is_kept_though_the_client_has_gone(tmp_path: Path) -> None:
    async with desk(tmp_path) as (engine, _, client):
        stream = await client.chat.completions.create(
            model="assistant", messages=[user("Hi")], stream=True, extra_headers={"x-conversation-id": "mine"}
        )
        await stream.close()
        async with asyncio.timeout(10):
            while not engine.quiet:
                await asyncio.sleep(0.01)
            while engine.shard.following.followed:
                await asyncio.sleep(0.01)
        found = await client.chat.completions.create(
            model="assistant", messages=[user("Again")], extra_headers={"x-conversation-id": "mine"}
        )
        assert found.choices[0].message.content == "You said: Again"
        assert '["user","Hi"]\n["assistant","You said: Hi"]' in asked[-1]


TOKENS = {"ANN_TOKEN": "ann", "EVE_TOKEN": "eve"}


async def test_who_speaks_is_known_by_the_token_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TOKENS:
        monkeypatch.setenv(name, name * 3)
    async with desk(tmp_path, Http(port=0, tokens=TOKENS)) as (engine, http, client):
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="assistant", messages=[user("Hi")])
        for name, text in (("ANN_TOKEN", "I am ann"), ("EVE_TOKEN", "I am ann too")):
            async with AsyncOpenAI(base_url=f"{http.url}/v1", api_key=name * 3, max_retries=0) as one:
                await one.chat.completions.create(
                    model="assistant", messages=[user(text)], user="ann", extra_headers={"x-conversation-id": "mine"}
                )
        with engine.reading():
            assert [(row.conversation, row.user) for row in talks.memory.all()] == [
                ("ann/mine", "ann"),
                ("eve/mine", "eve"),
            ]
        answer = await ask(http, "/chat/assistant/a/b/events", authorization=f"Bearer {'EVE_TOKEN' * 3}")
        assert answer.status == 404


# ---- speaking first


@asynccontextmanager
async def events_of(http: Http, path: str, body: Any = None, **headers: str) -> AsyncGenerator[AsyncIterator[Any]]:
    """The server-sent events of a path: their data, with the number that they have as `id`, if they have one."""

    async def read(lines: aiohttp.StreamReader) -> AsyncIterator[Any]:
        number: str | None = None
        async for raw in lines:
            line = raw.decode().strip()
            if line.startswith("id: "):
                number = line.removeprefix("id: ")
            elif line.startswith("data: "):
                document = msgspec.json.decode(line.removeprefix("data: "))
                yield document if number is None else document | {"id": number}
                number = None

    async with aiohttp.ClientSession() as session:
        method = "GET" if body is None else "POST"
        async with asyncio.timeout(20), session.request(method, http.url + path, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            yield read(answer.content)


async def test_what_is_said_unasked_is_heard_by_those_who_listen(tmp_path: Path) -> None:
    path = "/chat/assistant/mine"
    async with desk(tmp_path) as (engine, http, _):
        await engine.send(trips, [Trip("anyone")])
        async with events_of(http, f"{path}/events") as coming:
            taken = await ask(http, path, b'{"text": "Hi", "id": "m1"}')
            assert (taken.status, taken.json) == (202, {"id": "anyone/mine/m1", "again": False})
            found = [await anext(coming) for _ in range(2)]
            await engine.send(trips, [Trip("anyone", 50)])
            found += [await anext(coming) for _ in range(2)]
        assert [(one["type"], one.get("text", one.get("id"))) for one in found] == [
            ("words", "You said: Hi"),
            ("answer", "2"),
            ("words", "You are late."),
            ("answer", "3"),
        ]
        async with events_of(http, f"{path}/events", **{"last-event-id": "2"}) as coming:  # and by who was away
            assert (await anext(coming))["said"]["text"] == "You are late."
        async with events_of(http, f"{path}/events", **{"last-event-id": "9" * 5_000}):
            pass  # the number of no message is no error of ours


async def test_the_host_stops_though_somebody_listens(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, http, _), events_of(http, "/chat/assistant/mine/events") as coming:
        listens = asyncio.create_task(anext(coming, None))
        await asyncio.sleep(0)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    listens.cancel()
    await asyncio.gather(listens, return_exceptions=True)


async def test_a_chat_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, http, _):
        for path in ("/chat/nobody/mine/events", "/chat/nobody/mine"):
            answer = await ask(http, path, b"" if path.endswith("events") else b'{"text": "Hi"}')
            assert (answer.status, answer.json["error"]["message"]) == (
                404,
                "There is no chat 'nobody'. This app has: assistant.",
            )
        deep = b'{"text": "Hi", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        for body in (b"{", b'{"text": " "}', b"[]", deep):
            assert (await ask(http, "/chat/assistant/mine", body)).status == 400
        answer = await ask(http, "/v1/chat/completions", deep.replace(b'"text"', b'"model"'))
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


# ---- AG-UI


def run(number: int, *messages: tuple[str, str]) -> dict[str, Any]:
    return {
        "threadId": "mine",
        "runId": f"r{number}",
        "state": {},
        "messages": [{"id": str(at), "role": role, "content": text} for at, (role, text) in enumerate(messages)],
        "tools": [],
        "context": [],
        "forwardedProps": {},
    }


EVENTS: TypeAdapter[Any] = TypeAdapter(Event)


async def seen(coming: AsyncIterator[Any]) -> list[tuple[str, str]]:
    """The kinds of events, and the words in them; each is one that the protocol knows."""
    found = [EVENTS.validate_python(one) async for one in coming]
    return [(one.type.value, getattr(one, "delta", "") or getattr(one, "message", "")) for one in found]


async def test_a_front_end_of_ag_ui_talks_and_listens(tmp_path: Path) -> None:
    async with desk(tmp_path) as (engine, http, _):
        await engine.send(trips, [Trip("anyone")])
        for _ in range(2):  # the same run again is the same message
            async with events_of(http, "/agui/assistant", run(1, ("user", "Hi"))) as coming:
                told = await seen(coming)
                assert [kind for kind, _ in told if kind != "TEXT_MESSAGE_CONTENT"] == [
                    "RUN_STARTED",
                    "TEXT_MESSAGE_START",
                    "TEXT_MESSAGE_END",
                    "RUN_FINISHED",
                ]
                assert "".join(words for _, words in told) == "You said: Hi"
        assert len(asked) == 1
        async with events_of(http, "/agui/assistant", run(2, ("user", "Hi"), ("assistant", "You said: Hi"))) as coming:
            assert (await anext(coming))["type"] == "RUN_STARTED"
            await engine.send(trips, [Trip("anyone", 50)])
            assert "".join(words for _, words in await seen(coming)) == "You are late."


async def test_a_run_that_gets_no_answer_ends_with_an_error(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, http, _):
        async with events_of(http, "/agui/assistant", run(1, ("user", "break"))) as coming:
            told = await seen(coming)
        assert told[-1] == ("RUN_ERROR", "The assistant could not answer. Say it again, or look at the dead letters.")
        assert (await ask(http, "/agui/assistant", b'{"threadId": "mine"}')).status == 400
        assert (await ask(http, "/agui/nobody", b"{}")).status == 404
