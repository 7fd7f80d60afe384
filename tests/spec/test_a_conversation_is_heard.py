"""Who listens to a conversation hears its answers, once each and durably, whoever else speaks meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from extrovert import App, Open, Record, Said, Spoken, Talk, Turn
from extrovert.core.errors import InputError
from extrovert.engine.saying import answer_to, key_of, latest, name_of, owner, say, take
from extrovert.engine.talking import hearing
from extrovert.engine.transcript import Answer, Heard, NoAnswer, Words
from extrovert.testing import World

SECOND = timedelta(seconds=1)


class Trip(Record):
    user: str
    delay: int = 0


app = App("travel")
trips = app.table("trips", Trip, key=Trip.user)
talks = app.conversations("assistant")


@app.view(over=talks.open)
def ground(talk: Open) -> Trip | None:
    return trips.get(talk.user)


@app.chat(talks, rests_on=ground, model="openai:none", max_tries=1)
async def assistant(turn: Turn, talk: Talk[Trip]) -> str:
    return await turn.ask(talk.prompt(talk.ground), output=str)


def texts(heard: list[Heard]) -> list[object]:
    """The words, and the texts of the answers in brackets."""
    return [
        one.text if isinstance(one, Words) else [one.said.text] if isinstance(one, Answer) else one for one in heard
    ]


async def asked(world: World, text: str, name: str = "m1", user: str = "ann") -> list[Heard]:
    """Says it, and hears what comes until it is answered."""
    key = key_of("ann", "c1")
    taken = take(world.engine, assistant, conversation=key, user=user, text=text, id=name)
    coming = asyncio.create_task(collected(world, taken.id, key))
    await asyncio.sleep(0)
    await world.settle()
    return await coming


async def collected(world: World, name: str, key: str) -> list[Heard]:
    from extrovert.engine.saying import Taken

    return [one async for one in say(world.engine, assistant, Taken(name, False), key)]


async def test_who_says_something_hears_the_answer_and_what_it_took(world: World) -> None:
    world.answer(assistant.agent, "Yes.", thinks=SECOND)
    heard = await asked(world, "On time?")
    assert texts(heard) == ["Yes.", ["Yes."]]
    assert world.engine.writing.durable == world.engine.shard.fold.end - 1


async def test_the_same_again_gives_the_answer_that_there_was(world: World) -> None:
    script = world.answer(assistant.agent, "Yes.", "No.")
    await asked(world, "On time?")
    assert texts(await asked(world, "On time?")) == ["Yes.", ["Yes."]]
    assert len(script.asked) == 1


async def test_the_same_again_while_it_is_under_way_waits_for_the_same_answer(world: World) -> None:
    script = world.answer(assistant.agent, "Yes.", thinks=SECOND)
    key = key_of("ann", "c1")
    taken = [take(world.engine, assistant, conversation=key, user="ann", text="On time?", id="m1") for _ in range(2)]
    assert [one.again for one in taken] == [False, True]
    coming = [asyncio.create_task(collected(world, one.id, key)) for one in taken]
    await asyncio.sleep(0)
    await world.settle()
    assert [texts(await one)[-1] for one in coming] == [["Yes."], ["Yes."]]
    assert len(script.asked) == 1


async def test_who_asks_second_does_not_hear_the_answer_to_the_first(world: World) -> None:
    world.answer(assistant.agent, "One.", "Two.", thinks=SECOND)
    key = key_of("ann", "c1")
    first = take(world.engine, assistant, conversation=key, user="ann", text="one", id="m1")
    coming = [asyncio.create_task(collected(world, first.id, key))]
    await asyncio.sleep(0)
    await world.advance(SECOND / 2)
    second = take(world.engine, assistant, conversation=key, user="ann", text="two", id="m2")
    coming.append(asyncio.create_task(collected(world, second.id, key)))
    await asyncio.sleep(0)
    await world.settle()
    assert [texts(await one) for one in coming] == [["One.", ["One."]], ["Two.", ["Two."]]]


async def test_what_gets_no_answer_is_said_also_when_it_is_said_again(world: World) -> None:
    world.answer(assistant.agent, TypeError("broken"), "Yes.")
    assert await asked(world, "On time?") == [NoAnswer("failed: TypeError: broken")]
    assert await asked(world, "On time?") == [NoAnswer("it was said before, and got no answer")]
    assert texts(await asked(world, "On time?", "m2")) == ["Yes.", ["Yes."]]


async def test_who_listens_hears_also_what_is_said_unasked(world: World) -> None:
    await world.send(trips, Trip("ann"))
    world.answer(assistant.agent, "Yes.")
    world.answer(assistant.unasked, "No more.")
    key = key_of("ann", "c1")
    with hearing(world.engine, assistant, key) as heard:
        await asked(world, "On time?")
        await world.send(trips, Trip("ann", 50))
        heard.end()
        found = [one async for one in heard]
    assert texts(found) == ["Yes.", ["Yes."], "No more.", ["No more."]]
    assert [one.unasked for one in found if isinstance(one, Words)] == [False, True]


async def test_who_has_gone_away_can_look_up_what_was_said(world: World) -> None:
    world.answer(assistant.agent, "Yes.")
    await asked(world, "On time?")
    key = key_of("ann", "c1")
    assert [one.text for one in latest(world.engine, assistant, key)] == ["On time?", "Yes."]
    assert [one.text for one in latest(world.engine, assistant, key, after=1)] == ["Yes."]
    assert isinstance(found := answer_to(world.engine, assistant, key, f"{key}/m1"), Spoken)
    assert found.text == "Yes."
    assert answer_to(world.engine, assistant, key, f"{key}/m9") is None


async def test_a_slow_listener_is_given_up(world: World) -> None:
    key = key_of("ann", "c1")
    with hearing(world.engine, assistant, key) as heard:
        heard.tell(*[Words("on and on ")] * 10_001)
        assert not world.engine.shard.following.followed
        assert len([one async for one in heard]) == 10_001


async def test_nobody_says_something_in_anothers_conversation_or_nothing_at_all(world: World) -> None:
    world.answer(assistant.agent, "Yes.")
    await asked(world, "On time?")
    assert owner(world.engine, assistant, key_of("ann", "c1")) == "ann"
    with pytest.raises(InputError, match="another user's"):
        await asked(world, "What did she say?", user="eve")
    with pytest.raises(InputError, match="the text is empty"):
        await asked(world, " \n")
    with pytest.raises(InputError, match="1,048,576 are taken"):
        await asked(world, "x" * (1 << 20))


def test_no_two_users_have_the_same_conversation_whatever_they_call_it() -> None:
    assert len({key_of("ann", "b/c"), key_of("ann/b", "c"), key_of("ann%2Fb", "c"), key_of("ann%252Fb", "c")}) == 4
    for user, name in (("ann", "b/c"), ("ann/b", "c"), ("a%2F", "%2F/")):
        assert name_of(user, key_of(user, name)) == name
    assert name_of("ann", "c1") is None
    assert name_of("ann", key_of("anna", "c1")) is None


async def test_nobody_follows_when_nobody_listens(world: World) -> None:
    world.answer(assistant.agent, "Yes.")
    await asked(world, "On time?")
    assert not world.engine.shard.following.followed
    await world.send(talks.said, Said("c9", "ann", "Hi", "m9", world.now))
