"""Laws of prompts: the same rows give the same text, however they were read and in whatever order they came; a budget
is never exceeded; what gives way is the end of what was given; and nothing in a row looks like anything but data."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert import App, Prompt, Record, Section, TurnError
from extrovert.context.live import LiveContext
from extrovert.context.reads import reading
from extrovert.turns.assembling import Assembled, assembled
from extrovert.turns.prompt import estimated
from extrovert.turns.scope import TurnScope


class Doc(Record):
    key: str
    group: int
    text: str
    tags: set[str] = set()


app = App("desk")
docs = app.table("docs", Doc, key=Doc.key)
by_group = docs.index(Doc.group)
ordered = docs.range_index(Doc.group)
declared = app.declared()

NASTY = [
    "</data>",
    "<",
    "\n",
    '"',
    "\\",
    "]",
    "\u2028",
    "\u202e",
    "<|im_end|>",
    "\x00",
    "\U000e0041",
    "…",
    "é",
    "\u0085",
]
_text = st.lists(st.sampled_from(NASTY) | st.text(max_size=5), max_size=6).map("".join)
_docs = st.lists(
    st.builds(
        Doc,
        st.sampled_from([f"d{number}" for number in range(12)]),
        st.integers(0, 2),
        _text,
        st.sets(st.sampled_from("abc")),
    ),
    max_size=15,
)
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""What turns the direction of reading."""
_ways = st.none() | st.integers(0, 2)


def scope_over(rows: Sequence[Doc]) -> TurnScope:
    """A turn's scope over a context that got these rows."""
    context = LiveContext(declared.tables, [])
    for offset, row in enumerate(rows, start=1):
        context.moments.passed(offset + 1, 0)
        context.tables["docs"].put(row.key, row, offset)
    return TurnScope(context, "the test")


def parts(found: Assembled) -> list[list[str]]:
    """The lines of each fence."""
    return [part.split("\n")[:-2] for part in (found.text + "\n").split("\n<data ")[1:]]


@settings(max_examples=200)
@given(_docs, st.randoms(use_true_random=False))
def test_the_same_rows_give_the_same_text_however_they_came_and_were_read(
    rows: list[Doc], chance: random.Random
) -> None:
    last = list({row.key: row for row in rows}.values())
    found: list[str] = []
    for given_rows in (last, chance.sample(last, len(last))):
        for way in range(3):
            scope = scope_over(given_rows)
            with reading(scope):
                for key in chance.sample([row.key for row in last], len(last)) if way == 2 else ():
                    docs.get(key)
                ways: list[Any] = [docs.all(), ordered.between(), [row for n in range(3) for row in by_group[n]]]
                shown = sorted(ways[way], key=lambda row: row.key)
                found.append(assembled(Prompt("Look.", Section("Docs", shown)), scope).text)
    assert len(set(found)) == 1


@settings(max_examples=300)
@given(st.lists(st.tuples(_docs, _ways), max_size=4), st.integers(0, 400), st.booleans())
def test_a_budget_is_never_exceeded_and_only_ends_give_way(
    given_sections: list[tuple[list[Doc], int | None]], budget: int, by_length: bool
) -> None:
    tokens = len if by_length else estimated
    budget = budget * 4 if by_length else budget
    sections = [Section(f"S{n}", rows, gives_way=way) for n, (rows, way) in enumerate(given_sections)]
    scope = scope_over([])
    whole = assembled(Prompt("Look.", *sections, tokens=tokens), scope)
    try:
        found = assembled(Prompt("Look.", *sections, tokens=tokens, budget_tokens=budget), scope)
    except TurnError:
        text = whole.text
        for number, (rows, way) in enumerate(given_sections):
            if rows and way is not None:
                opens = f'<data name="S{number}">\n'
                before, rest = text.split(opens)
                text = f"{before}{opens}… {len(rows)} left out\n{rest[rest.index('</data>') :]}"
        assert tokens(text) > budget
        return
    assert found.tokens == tokens(found.text) <= budget
    assert (found.text == whole.text) == (whole.tokens <= budget)
    gave: list[Any] = []
    for section, some, all_of in zip(sections, parts(found), parts(whole), strict=True):
        left = found.left_out.get(section.name, 0)
        kept = len(section.facts) - left
        assert section.gives_way is not None or not left
        assert some[: 2 * bool(kept) + kept] == all_of[: 2 * bool(kept) + kept]
        gave.append((section.gives_way, left, kept))
    for way, left, _kept in gave:
        for other, _left, rest in gave:
            if left and other is not None and way is not None and other < way:
                assert rest == 0  # what gives way first is used up before the next gives anything


@settings(max_examples=300)
@given(_docs)
def test_each_row_is_one_line_that_says_what_it_said(rows: list[Doc]) -> None:
    found = assembled(Prompt("Look.", Section("Docs", rows, fields=(Doc.key, Doc.text))), scope_over([]))
    (lines,) = parts(found)
    assert [msgspec.json.decode(line) for line in lines[2:]] == [[row.key, row.text] for row in rows]
    assert found.text.count("<data ") == 2  # the rule names it
    assert found.text.splitlines() == found.text.split("\n")
    seen = found.text.replace("\n", "")
    assert not {unicodedata.category(one) for one in seen} & {"Cc", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(one) for one in seen} & TURNS
