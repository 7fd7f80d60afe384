"""Law: an operator that follows a stream and what is derived from it sees them in one order, whatever the batching."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from extrovert import App, Record, when
from tests.hosts import Host


class Note(Record):
    key: str
    text: str


class Answer(Record):
    key: str
    text: str


class Line(Record):
    key: str
    texts: tuple[str, ...] = ()


def loud(note: Note) -> Note:
    return note.but(text=note.text.upper())


def answers(note: Note) -> list[Answer]:
    return [Answer(note.key, f"{note.text}{number}") for number in range(len(note.text))]


def again(answer: Answer) -> Note:
    return Note(answer.key, answer.text + "!")


def add(line: Line | None, note: Note) -> Line:
    return Line(note.key, (*(line.texts if line else ()), note.text))


app = App("notes")
notes = app.stream("notes", Note, key=Note.key)
louder = app.stream("louder", Note, key=Note.key, source=notes.map(loud))
answered = app.stream("answered", Answer, key=Answer.key, source=notes.flat_map(answers))
repeated = app.stream("repeated", Note, key=Note.key, source=answered.map(again))
merged = app.stream("merged", Note, key=Note.key, source=repeated.merge(louder).merge(notes))
lines = app.table("lines", Line, key=Line.key, source=merged, fold=add)
pairs = app.pattern(
    "pairs",
    Note,
    key=Note.key,
    on=[notes, answered],
    match=when(Note).then(Answer).within(timedelta(hours=1)),
    make=lambda note, answer: Note(note.key, f"{note.text}/{answer.text}"),
)
paired = app.table("paired", Line, key=Line.key, source=pairs, fold=add)

_notes = st.builds(Note, st.sampled_from("ab"), st.sampled_from(["", "x", "yy"]))


def expected(came: list[Note]) -> tuple[dict[str, Line], dict[str, Line]]:
    """What follows where each event is dealt with, with all that is made of it, before the next one."""
    told: dict[str, Line] = {}
    found: dict[str, Line] = {}
    waiting: dict[str, list[Note]] = {}
    for note in came:
        for one in [note, loud(note), *map(again, answers(note))]:
            told[one.key] = add(told.get(one.key), one)
        waiting.setdefault(note.key, []).append(note)
        for answer in answers(note)[:1]:
            first = waiting.pop(note.key)[0]
            found[note.key] = add(found.get(note.key), Note(note.key, f"{first.text}/{answer.text}"))
    return told, found


@given(st.lists(st.lists(_notes, min_size=1, max_size=6), max_size=5))
def test_any_batching_gives_what_one_event_after_the_other_gives(batches: list[list[Note]]) -> None:
    host = Host(app, None)
    for batch in batches:
        host.hand_in(notes, *batch)
    told, found = expected([note for batch in batches for note in batch])
    tables = host.fold.context.tables
    assert tables["lines"].rows == told
    assert tables["paired"].rows == found
    host.store.close()


def test_only_streams_that_come_by_two_ways_are_taken_apart() -> None:
    assert app.declared().fold().context.forked == {"notes"}
