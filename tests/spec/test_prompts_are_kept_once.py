"""All that a model is told is in the log, once: instructions, parameters and schema by their fingerprint, and a prompt
that mostly repeats the turn's earlier one by what differs. Nobody who reads it notices, live, after restarts, or when
the log's head is gone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from extrovert import App, Record, Turn
from extrovert.core.asked import AskSent, whole
from extrovert.core.log import Attempted, Told
from extrovert.surfaces.story import Story, find, tell
from extrovert.surfaces.telling import tell_to
from tests.hosts import Host, Rule, body, replayed
from tests.picture import picture

MANUAL = "Passengers of a cancelled flight are moved to the earliest one with seats. " * 20
HOUR = timedelta(hours=1)


class Case(Record):
    key: str
    seats: int = 0


class Note(Record):
    key: str
    text: str = ""


def question(seats: int) -> str:
    return f"{MANUAL}\nSeats: {seats}.\n{MANUAL}"


class Desk:
    """An agent that asks about the seats that there are, waits for a note if it is to, and asks again with the
    answer."""

    def __init__(self, *, settings: dict[str, Any] | None = None, waits: bool = False, **options: Any) -> None:
        self.app = App("desk", **options)
        self.cases = self.app.table("cases", Case, key=Case.key)
        self.seats = self.app.table("seats", Case, key=Case.key)
        self.notes = self.app.stream("notes", Note, key=Note.key)
        fast = self.app.model("fast", "openai:gpt", settings=settings)

        @self.app.agent(wakes_on=self.cases, model=fast)
        async def think(turn: Turn, case: Case) -> None:
            """You rebook passengers."""
            row = self.seats.get(case.key)
            first = question(0 if row is None else row.seats)
            said = await turn.ask(first, output=int)
            if waits:
                await turn.next(self.notes, key=case.key)
            await turn.ask(f"{first}\nYou said {said}. Is that so?", output=int)

    def host(self, path: Path, rule: Rule) -> Host:
        return Host(self.app, path, {"model:fast": rule})


def prompts(host: Host, turns: Collection[str] = ()) -> list[str]:
    """All prompts in the log, or those of some turns, as its readers get them."""
    known: dict[str, list[AskSent]] = {}
    for one in host.bodies(Attempted):
        asks = known.setdefault(one.turn, [])
        asks += whole(one.asks, asks)
    found = [asks for turn, asks in known.items() if not turns or turn in turns]
    return [msgspec.json.decode(ask.request) for asks in found for ask in asks if ask.kind == "ask"]


def story(host: Host, name: str) -> Story:
    host.flush()
    return tell(host.store, find(host.store, name))


def told(show: Callable[[Console], None]) -> str:
    out = StringIO()
    show(Console(width=200, file=out))
    return out.getvalue()


async def test_a_rerun_and_a_conversation_are_kept_by_what_differs(tmp_path: Path) -> None:
    desk, rule = Desk(), Rule(5, 2)
    host = desk.host(tmp_path / "log", rule)
    host.hand_in(desk.cases, Case("a"))
    await host.advance(1)
    host.hand_in(desk.seats, Case("a", 7))
    await host.settle()
    asks = [ask for one in host.bodies(Attempted) for ask in one.asks]
    assert [len(bytes(ask.request)) > 1_000 for ask in asks] == [True, False, False]
    first, second = question(0), question(7)
    assert prompts(host) == [first, second, f"{second}\nYou said 5. Is that so?"]
    assert rule.asked == prompts(host)[1:]


async def test_a_call_in_flight_is_sent_again_as_it_was_after_a_crash(tmp_path: Path) -> None:
    desk, rule = Desk(), Rule(5, 2)
    host = desk.host(tmp_path / "log", rule)
    host.hand_in(desk.cases, Case("a"))
    for keeps in (False, True):
        await host.advance(1)
        host.hand_in(desk.seats, Case("a", 7 + keeps))
        await host.advance(0.5)
        if keeps:
            host.engine.keep_snapshot()
        host.flush()
        state = picture(host.fold)
        assert picture(replayed(host)) == state
        host.crash()
        assert picture(host.fold) == state
    await host.settle()
    assert rule.asked == prompts(host)[2:]
    assert "Seats: 8." in rule.asked[0]
    assert picture(replayed(host)) == picture(host.fold)


async def test_a_turn_that_parks_holds_no_prompt_and_asks_whole_again(tmp_path: Path) -> None:
    desk, rule = Desk(waits=True), Rule(5, 2)
    host = desk.host(tmp_path / "log", rule)
    host.hand_in(desk.cases, Case("a"))
    await host.advance(3)
    (turn,) = host.fold.running.values()
    assert turn.parks
    assert turn.prompts == []
    host.hand_in(desk.notes, Note("a"))
    await host.settle()
    assert prompts(host) == rule.asked
    assert len(rule.asked) == 2


async def test_instructions_are_told_once_for_all_turns_and_lives(tmp_path: Path) -> None:
    desk, rule = Desk(settings={"temperature": 0}), Rule(5)
    host = desk.host(tmp_path / "log", rule)
    await host.send(desk.cases, Case("a"), Case("b"))
    host.flush()
    host.crash()
    await host.send(desk.cases, Case("c"))
    host.engine.keep_snapshot()
    host.flush()
    host.crash()
    await host.send(desk.cases, Case("d"))
    (one,) = host.bodies(Told)
    assert one.instructions == "You rebook passengers."
    assert msgspec.json.decode(one.parameters) == ["openai:gpt", None, {"temperature": 0}, None]
    assert msgspec.json.decode(one.schema) == {"type": "integer"}
    assert {ask.told for one in host.bodies(Attempted) for ask in one.asks} == {one.told}
    kinds = [entry.kind for entry in host.entries()]
    assert kinds.index("told") == kinds.index("attempted") - 1


async def test_what_a_snapshot_does_not_know_of_is_told_again_and_listed_once(tmp_path: Path) -> None:
    desk, rule = Desk(), Rule(5)
    host = desk.host(tmp_path / "log", rule)
    await host.send(desk.cases, Case("a"))
    host.fold.told.clear()  # as in a snapshot of an earlier version
    host.engine.keep_snapshot()
    host.flush()
    host.crash()
    await host.send(desk.cases, Case("b"))
    assert len(host.bodies(Told)) == 2
    found = await desk.app.sql(
        host.engine, "select decision, instructions from ledger_asks join ledger_told using (told) order by 1"
    )
    assert [row["instructions"] for row in found.dicts()] == ["You rebook passengers."] * 4


async def test_other_parameters_are_told_anew(tmp_path: Path) -> None:
    for temperature in (0, 1, 1, 0):
        desk = Desk(settings={"temperature": temperature})
        host = desk.host(tmp_path / "log", Rule(5))
        await host.send(desk.cases, Case("a"), Case("b", temperature))
        await host.stop()
    host = Desk().host(tmp_path / "log", Rule(5))
    parameters = [msgspec.json.decode(one.parameters)[2] for one in host.bodies(Told)]
    assert parameters == [{"temperature": 0}, {"temperature": 1}]


async def test_no_key_in_the_parameters_is_in_the_log(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SOME_API_TOKEN", "hidden-by-value")
    monkeypatch.setenv("OTHER_API_TOKEN", "20260301")
    settings = {
        "extra_headers": {"X-Api-Key": "hidden-1"},
        "api_key": "hidden-2",
        "extra_body": {"auth": ["hidden-3"], "proxy": "http://hidden-4:x@proxy.test/v1?sig=hidden-5", "max_tokens": 7},
        "user": "hidden-by-value",
        "seed": 20260301,
    }
    desk = Desk(settings=settings)
    host = desk.host(tmp_path / "log", Rule(5))
    await host.send(desk.cases, Case("a"))
    (one,) = host.bodies(Told)
    assert b"hidden" not in b"".join(entry.body for entry in host.entries())
    assert msgspec.json.decode(one.parameters)[2] == {
        "extra_headers": {"X-Api-Key": "[key]"},
        "api_key": "[key]",
        "extra_body": {"auth": "[key]", "proxy": "http://[key]@proxy.test/v1?[key]", "max_tokens": 7},
        "user": "[key]",
        "seed": 20260301,
    }


async def test_what_is_told_stays_when_the_head_of_the_log_is_deleted(tmp_path: Path) -> None:
    desk, rule = Desk(retention=4 * HOUR), Rule(5, HOUR)
    host = desk.host(tmp_path / "log", rule)
    for hour in range(40):
        host.hand_in(desk.cases, Case(f"c{hour}"))
        await host.advance(600)
        host.hand_in(desk.seats, Case(f"c{hour}", hour))  # runs the turn again, which goes on for two hours
        await host.advance(3000)
    await host.settle()
    host.flush()
    assert host.store.begins() > 50
    (one,) = host.bodies(Told)
    kept = [ask for one in host.bodies(Attempted) for ask in one.asks]
    assert {ask.told for ask in kept} == {one.told}
    assert any(ask.like for ask in kept)
    oldest = host.store.bases()[0]
    within = [entry for entry in host.entries() if entry.kind == "decided" and entry.offset >= oldest.offset]
    turns = [body(entry).turn for entry in within]
    expected = [question(seats) for name in turns for seats in (0, int(name.split("@")[0][7:]))]
    assert [one for one in prompts(host, turns) if "You said" not in one] == expected
    state = picture(host.fold)
    host.crash()
    assert picture(host.fold) == state


async def test_explain_tells_all_of_it(tmp_path: Path) -> None:
    desk = Desk(settings={"temperature": 0})
    host = desk.host(tmp_path / "log", Rule(5, 2))
    host.hand_in(desk.cases, Case("a"))
    await host.advance(1)
    host.hand_in(desk.seats, Case("a", 7))
    await host.settle()
    found = story(host, "think:a")
    asked = [ask for attempt in found.attempts for ask in attempt.asked]
    assert [msgspec.json.decode(ask.about) for ask in asked] == prompts(host)
    assert [one.instructions for one in found.told] == ["You rebook passengers."]
    text = told(lambda console: tell_to(console, found))
    assert "Told with 3 asks" in text
    assert 'instructions  "You rebook passengers."' in text
    assert '["openai:gpt",null,{"temperature":0},null]' in text
    assert 'answer        {"type":"integer"}' in text
