"""`extrovert chat`: somebody talks with an app that runs, and it speaks up by itself."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from extrovert.testing import ModelServer
from tests.e2e.command import Home, records

DESK = """
from extrovert import App, Open, Record, Talk, Turn

app = App("desk")


class Trip(Record):
    user: str
    minutes_late: int = 0


trips = app.table("trips", Trip, key=Trip.user)
talks = app.conversations("assistant")


@app.view(over=talks.open)
def trip(talk: Open) -> Trip | None:
    return trips.get(talk.user)


@app.policy
def rules(prompt: str) -> str:
    if "break" in prompt:
        raise ValueError("no rule for this")
    return f"Late: {'yes' if ': 50' in prompt else 'no'}.\\nAsked {prompt.count('late?')} times."


@app.chat(talks, rests_on=trip, model=rules, max_tries=1)
async def assistant(turn: Turn, talk: Talk[Trip]) -> str:
    return await turn.ask(talk.prompt(talk.ground), output=str)
"""


@pytest.fixture
def desk(home: Home) -> Home:
    (home.path / "airline.py").write_text(DESK)
    return home


def test_lines_are_answered_one_after_the_other_and_remembered(desk: Home) -> None:
    with desk.running():
        done = desk("chat", "airline.py", "--as", "ann", given="Am I late?\n\nAnd now: late?\n")
        assert (done.code, done.err) == (0, "")
        assert done.out == "assistant: Late: no.\nAsked 1 times.\nassistant: Late: no.\nAsked 2 times.\n"
        again = desk("chat", "airline.py", "--as", "ann", given="late?\n")
        assert again.out.startswith("> Am I late?\nassistant: Late: no.\n")
        assert again.out.endswith("Asked 3 times.\n")
        other = desk("chat", "airline.py", "--as", "bob", given="late?\n")
        assert other.out == "assistant: Late: no.\nAsked 1 times.\n"
        elsewhere = desk("chat", "airline.py", "--as", "ann", "--conversation", "desk 2", given="late?\n")
        assert elsewhere.out == "assistant: Late: no.\nAsked 1 times.\n"


def test_what_changes_is_told_unasked(desk: Home) -> None:
    with desk.running():
        desk("send", "trips", "-", given=records({"user": "ann"}))
        with desk.opened("chat", "airline.py", "--as", "ann", "--json") as chat:
            assert chat.stdin is not None
            assert chat.stdout is not None
            chat.stdin.write("late?\n")
            chat.stdin.flush()
            first = [msgspec.json.decode(chat.stdout.readline()) for _ in range(2)]
            assert [one["type"] for one in first] == ["words", "answer"]
            desk("send", "trips", "-", given=records({"user": "ann", "minutes_late": 50}))
            words, answer = (msgspec.json.decode(chat.stdout.readline()) for _ in range(2))
            assert words == {"type": "words", "text": "Late: yes.\nAsked 1 times.", "unasked": True}
            assert (answer["said"]["text"], answer["said"]["to"]) == (words["text"], [])
            chat.stdin.close()
            assert chat.wait(10) == 0


SPOKEN = DESK.replace(
    "@app.chat", 'fast = app.model("fast", "openai:gpt-5-mini", base_url=%r)\n\n\n@app.chat', 1
).replace("model=rules", "model=fast")


async def test_words_are_shown_as_they_come_and_taken_back_where_they_do_not_hold(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    async with ModelServer() as server:
        server.answers("You are on time.", "You are late.")
        server.hold(after=3)
        (home.path / "airline.py").write_text(SPOKEN % server.url)
        shown = asyncio.create_task(asyncio.to_thread(_corrected, home))
        await server.request(1)
        server.release()
        assert await shown == "assistant: You are on\n[This does not hold any more: trip/ann/terminal changed.]\n"


def _corrected(home: Home) -> str:
    """What is shown of an answer whose ground shifts, up to the correction."""
    with home.running(), home.opened("chat", "airline.py", "--as", "ann") as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write("late?\n")
        chat.stdin.flush()
        shown = chat.stdout.read(len("assistant: You are on"))
        home("send", "trips", "-", given=records({"user": "ann", "minutes_late": 50}))
        return shown + chat.stdout.readline() + chat.stdout.readline()


def test_what_gets_no_answer_is_said(desk: Home) -> None:
    with desk.running():
        done = desk("chat", "airline.py", "--as", "ann", given="break\nlate?\n")
        assert done.code == 1
        assert done.err.startswith("No answer: failed: ValueError: no rule for this. See: extrovert dead-letters\n")


def test_nobody_can_be_talked_with_where_nothing_runs(desk: Home) -> None:
    done = desk("chat", "airline.py", "--as", "ann", given="late?\n")
    assert done.code == 1
    assert "Nothing runs on .extrovert. Start the app first: extrovert run" in done.err


def test_an_app_without_a_chat_says_so(home: Home) -> None:
    with home.running():
        done = home("chat", "airline.py", given="hello\n")
        assert done.code == 2
        assert "This app has no chat. Declare one: @app.chat(app.conversations(…))." in done.err


def test_a_stop_hangs_up_on_those_who_talk(desk: Home) -> None:
    with desk.running() as run, desk.opened("chat", "airline.py", "--as", "ann", "--json") as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write("late?\n")
        chat.stdin.flush()
        assert "words" in chat.stdout.readline()
        began = time.monotonic()
        assert run.end().code == 0
        assert time.monotonic() - began < 1.5
