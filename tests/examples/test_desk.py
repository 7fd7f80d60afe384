"""A desk that answers from papers as they are published, and corrects itself: `examples/desk.py`.

The first scenes are among the made-up papers of the example, with a reader and a substance of their own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from statistics import median
from typing import Any

from examples.desk import Answer, Evidence, answer, answers, papers, questions
from examples.desk_data import Paper, Question, feed

from examples import desk
from extrovert.testing import World

app = desk.app
SECOND = timedelta(seconds=1)
ASKED = Question("Q-zoe", "zoe", "Does aqua vitae help against a cold?", ["aqua vitae", "cold"])
HELPS = "Much was said. Among 9 adults, aqua vitae cured a cold within a week. Nobody knows why"
DOES_NOT = "Much was said. Among 900 adults, aqua vitae did nothing about a cold. Nobody is surprised"


def publish(world: World, paper_id: str, abstract: str) -> None:
    world.hand_in("papers", Paper(paper_id, world.now, abstract, world.now))


def withdraw(world: World, paper_id: str) -> None:
    """The feed says that a paper is withdrawn: it comes again, of the same time, without a text. No time passes."""
    world.hand_in("papers", papers[paper_id].but(abstract="", at=world.now))


def told(world: World) -> list[str]:
    """What Zoe was told."""
    return [text for _, (reader, text) in world.performed if reader == "zoe"]


def shown(script: Any) -> list[Evidence]:
    """What was asked of a script about Zoe's question."""
    return [one for one in script.asked if one.question == ASKED]


async def test_a_paper_answers_a_question_within_seconds(world: World) -> None:
    await world.send(questions, ASKED)
    assert told(world) == []
    publish(world, "X1", HELPS)
    await world.advance(10 * SECOND)
    assert told(world) == [
        f"{ASKED.text} 1 of the latest papers speak of it: Among 9 adults, aqua vitae cured a cold within a week [X1]"
    ]


async def test_a_later_question_is_answered_from_earlier_papers(world: World) -> None:
    publish(world, "X1", HELPS)
    await world.send(questions, ASKED)
    assert list(answers["Q-zoe"].quotes) == ["X1"]


async def test_a_paper_that_has_nothing_to_do_with_it_disturbs_nobody(world: World) -> None:
    await world.send(questions, ASKED)
    script = world.answer(answer, Answer("Q-zoe", "", {}))
    publish(world, "X1", "Among 9 adults, aqua vitae was drunk")
    await world.settle()
    assert shown(script) == []


async def test_a_withdrawn_paper_is_corrected_with_whom_was_told(world: World) -> None:
    await world.send(questions, ASKED)
    publish(world, "X1", HELPS)
    await world.settle()
    publish(world, "X2", DOES_NOT)
    await world.settle()
    withdraw(world, "X1")
    await world.settle()

    _, both, correction, anew = told(world)
    assert "[X1]" in both
    assert "[X2]" in both
    assert correction == f"Correction: {ASKED.text} I answered by X1, which has been withdrawn or corrected since."
    assert "[X2]" in anew
    assert "X1" not in anew


async def test_a_correction_is_told_once_though_several_answers_rest_on_it(world: World) -> None:
    await world.send(questions, ASKED)
    for number in range(1, 4):
        publish(world, f"X{number}", HELPS)
        await world.settle()
    withdraw(world, "X1")
    await world.settle()
    assert [text[:10] for text in told(world)].count("Correction") == 1


async def test_what_was_not_cited_is_not_corrected(world: World) -> None:
    await world.send(questions, ASKED)
    publish(world, "X1", HELPS)
    publish(world, "X2", DOES_NOT)
    world.answer(answer, Answer("Q-zoe", "No.", {"X2": "aqua vitae did nothing about a cold"}))
    await world.settle()
    withdraw(world, "X1")
    await world.settle()
    assert [text for text in told(world) if text.startswith("Correction")] == []


async def test_a_paper_withdrawn_while_the_answer_is_written_is_in_no_answer(world: World) -> None:
    await world.send(questions, ASKED)
    publish(world, "X1", HELPS)
    await world.advance(SECOND / 10)
    withdraw(world, "X1")
    await world.advance(30 * SECOND)
    assert told(world) == []
    assert answers["Q-zoe"].quotes == {}


async def test_a_quote_that_no_paper_has_is_refused(world: World) -> None:
    await world.send(questions, ASKED)
    script = world.answer(
        answer,
        Answer("Q-zoe", "It cures all.", {"X1": "aqua vitae cures all"}),
        Answer("Q-zoe", "It cures all.", {"nature-2026": "cured a cold"}),
        Answer("Q-zoe", "It cured nine.", {"X1": "aqua vitae cured a cold"}),
    )
    publish(world, "X1", HELPS)
    await world.settle()
    assert len(shown(script)) == 3
    assert told(world) == [f"{ASKED.text} It cured nine. aqua vitae cured a cold [X1]"]


async def test_an_answer_is_text_from_outside(world: World) -> None:
    await world.send(questions, ASKED)
    publish(world, "X1", HELPS)
    await world.settle()
    (body,) = [one for one in decided(world, "answer") if one["key"] == "Q-zoe" and "effects" in one]
    assert any("abstract" in one for one in body["tainted"])


async def test_five_minutes_of_the_firehose(world: World) -> None:
    await world.advance(timedelta(minutes=5))
    assert world.dead_letters() == []

    published, withdrawn = dict[str, int](), dict[str, int]()  # when, as the log has it
    cited, corrected, waits = defaultdict[str, set[tuple[str, str]]](set), set[tuple[str, str]](), list[int]()
    for at_us, body in log(world):
        if body["kind"] == "events" and body["stream"] == "papers":
            for paper in body["data"]:
                (published if paper["abstract"] else withdrawn)[paper["paper_id"]] = at_us
        elif body["kind"] == "decided" and body["agent"] == "answer" and body.get("effects"):
            quotes = body["writes"][0]["row"]["quotes"]
            assert not quotes.keys() & withdrawn.keys()
            waits.append(at_us - max(published[paper_id] for paper_id in quotes))
            for paper_id in quotes:
                cited[paper_id].add((body["effects"][0]["args"][0], paper_id))
        elif body["kind"] == "decided" and body["agent"] == "correct":
            for effect in body["effects"]:
                reader, text = effect["args"]
                corrected.add((reader, text.split(" answered by ")[1].partition(",")[0]))

    assert corrected == {one for paper_id in withdrawn for one in cited[paper_id]}
    assert len(corrected) > 5
    assert len(waits) > 100
    assert median(waits) < 3_000_000


def test_the_papers_are_made_up_the_same_each_time() -> None:
    batch = feed.read(None)
    assert batch is not None
    assert batch == feed.read(None)


def log(world: World) -> list[tuple[int, dict[str, Any]]]:
    """The log: engine times and bodies."""
    world.engine.writing.flush()
    return [(entry.at_us, json.loads(entry.body) | {"kind": entry.kind}) for entry in world.store.entries()]


def decided(world: World, agent: str) -> list[dict[str, Any]]:
    return [body for _, body in log(world) if body["kind"] == "decided" and body["agent"] == agent]
