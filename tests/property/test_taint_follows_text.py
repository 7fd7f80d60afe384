"""The law of taint: whatever text from outside comes before the eyes of a turn, by whatever way, taints it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert import App, Record, Refuse, Turn, Untrusted
from extrovert.testing import World

EVIL = "evil"
"""The word that all text from outside has here, and no other text."""
KEYS = ("a", "b")


class Mail(Record):
    key: str
    label: str
    text: Untrusted[str]


class Plain(Record):
    key: str
    text: str = ""


class Wake(Record):
    key: str
    steps: list[str]


class Glances:
    """An app with many ways to the text of mails, and what its turns have seen: all of it, and by what it tainted."""

    def __init__(self) -> None:
        app = self.app = App("glances")
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.mails = app.table("mails", Mail, key=Mail.key)
        self.plains = app.table("plains", Plain, key=Plain.key)
        self.wakes = app.table("wakes", Wake, key=Wake.key)
        self.raw = app.stream("raw", Mail, key=Mail.key)
        made = app.stream("made", Plain, key=Plain.key, source=self.raw.map(lambda mail: Plain(mail.key, mail.text)))
        kept = app.stream("kept", Mail, key=Mail.key, source=self.raw.filter(lambda mail: mail.key == "a"))
        self._declare_ways(made, kept)

        @app.agent(wakes_on=self.wakes, model="openai:gpt-none", max_refusals=2)
        async def look(turn: Turn, wake: Wake) -> None:
            glances: list[str] = []
            for step in wake.steps:
                if step == "ask":
                    await turn.ask("how many?", output=int)
                elif step == "refuse":
                    if await turn.ask("how many then?", output=int) == 0:
                        self.seen.append((" ".join(glances), turn.tainted))
                        raise Refuse("none is too few")
                else:
                    glances.append(repr(self.ways[step]()))
            self.seen.append((" ".join(glances), turn.tainted))

        self.agent = look

    def _declare_ways(self, made: Any, kept: Any) -> None:
        app, mails, plains = self.app, self.mails, self.plains
        by_label, in_order = mails.index(Mail.label), mails.range_index(Mail.label)
        search = app.search("found", over=mails, text=Mail.text)
        folded = app.table("folded", Plain, key=Plain.key, source=made)
        kept_rows = app.table("kept_rows", Mail, key=Mail.key, source=kept)

        @app.view(over=plains)
        def joined(plain: Plain) -> str:
            found = mails.get(plain.text)
            return plain.text if found is None else f"{plain.text}: {found.text}"

        @app.view(over=joined)
        def loud(text: str) -> Plain:
            return Plain("loud", text + "!")

        @app.view(over=plains, key=Plain.key)
        def parts(plain: Plain) -> list[Plain]:
            return [Plain(f"{plain.key}-{n}", mail.text) for n, mail in enumerate(by_label[plain.text])]

        @app.view(over=plains)
        def from_folded(plain: Plain) -> list[str]:
            return [row.text for row in folded.all()]

        of_parts = parts.index(Plain.key)
        self.ways: dict[str, Callable[[], Any]] = {}
        for key in KEYS:
            self.ways |= {
                f"mail {key}": lambda key=key: mails.get(key),
                f"plain {key}": lambda key=key: plains.get(key),
                f"folded {key}": lambda key=key: folded.get(key),
                f"kept {key}": lambda key=key: kept_rows.get(key),
                f"joined {key}": lambda key=key: joined.get(key),
                f"loud {key}": lambda key=key: loud.get(key),
                f"parts {key}": lambda key=key: (parts.get(f"{key}-0"), parts.get(f"{key}-1")),
                f"part {key}": lambda key=key: list(of_parts[f"{key}-0"]),
                f"from folded {key}": lambda key=key: from_folded.get(key),
                f"label {key}": lambda key=key: list(by_label[key]),
                f"range {key}": lambda key=key: list(in_order.between(key, "z")),
                f"where {key}": lambda key=key: list(mails.where({Mail.label: key})),
            }
        self.ways |= {"all": lambda: list(mails.all()), "search": lambda: search.search(EVIL)}


_mails = st.builds(
    Mail, st.sampled_from(KEYS), st.sampled_from(KEYS), st.sampled_from(["", "  ", f"{EVIL} one", f"{EVIL} two"])
)
_plains = st.builds(Plain, st.sampled_from(KEYS), st.sampled_from(KEYS))
_changes = st.lists(st.tuples(st.sampled_from(["mails", "plains", "raw"]), _mails, _plains), max_size=6)
_steps = st.lists(st.sampled_from(["ask", "refuse", *Glances().ways]), min_size=1, max_size=6)


@settings(max_examples=200)
@given(_changes, _steps, _changes)
def test_a_turn_that_has_seen_text_from_outside_is_tainted(before: Any, steps: list[str], meanwhile: Any) -> None:
    async def live() -> Glances:
        glances = Glances()
        with World(glances.app) as world:
            world.answer(glances.agent, 0, 1, thinks=timedelta(seconds=1))

            def hand_in(changes: Any) -> None:
                for to, mail, plain in changes:
                    world.hand_in(getattr(glances, to), plain if to == "plains" else mail)

            hand_in(before)
            await world.settle()
            world.hand_in(glances.wakes, Wake("w", steps))
            for change in meanwhile:
                await world.advance(timedelta(seconds=0.7))
                hand_in([change])
            await world.settle()
        return glances

    glances = asyncio.run(live())
    assert glances.seen
    # of what is made of raw mails all text counts as theirs
    evil = any(to == "raw" or (to == "mails" and EVIL in mail.text) for to, mail, _ in (*before, *meanwhile))
    for seen, tainted in glances.seen:
        assert bool(tainted) >= (EVIL in seen), seen
        assert evil >= bool(tainted), tainted
