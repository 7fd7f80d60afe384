"""Prompts: what a model is asked, put together of a task and of facts from live context."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import cleandoc
from typing import Any, cast

from extrovert.context.query import Hit
from extrovert.core.errors import TurnError
from extrovert.core.ids import canonical
from extrovert.core.record import Record

__all__ = ["Prompt", "Section", "estimated"]

BYTES_A_TOKEN = 4


def estimated(text: str) -> int:
    """About how many tokens a text is: a quarter of its bytes in UTF-8, rounded up."""
    return -(-len(text.encode(errors="surrogatepass")) // BYTES_A_TOKEN)


class Section:
    """Facts under a name: a row, several rows or hits of a search, or any value that JSON can hold.

    Of rows all `fields` are shown, or those that are named. `ages` says whether each is given with the moment of its
    last change; where nothing is said, that is so where all fields are shown, since the moment is that of the whole
    row. Where the prompt is too long, what has a number in `gives_way` loses rows from its end, the lowest first.
    """

    def __init__(
        self,
        name: str,
        facts: object,
        *,
        fields: Sequence[Any] = (),
        ages: bool | None = None,
        gives_way: int | None = None,
    ) -> None:
        self.name = name
        self.several = _several(facts)
        self.facts: tuple[Any, ...] = _listed(facts) if self.several else () if facts is None else (_row(facts),)
        self.fields = tuple(fields)
        self.ages = not fields if ages is None else ages
        self.gives_way = gives_way


class Prompt:
    """A task and the facts that it is about, put together when it is asked: `await turn.ask(Prompt(…), output=T)`.

    `task` is the developer's own text, and stands first. The facts follow, section by section, fenced as data. The text
    is at most `budget_tokens` long, counted by `tokens`; where it cannot be, asking raises `TurnError`. A policy that
    answers in a model's place is given `facts` and no text, where there are such; they belong to the question.
    """

    def __init__(
        self,
        task: str,
        *sections: Section,
        budget_tokens: int | None = None,
        tokens: Callable[[str], int] = estimated,
        facts: Record | None = None,
    ) -> None:
        self.task = cleandoc(task)
        self.sections = sections
        self.budget_tokens = budget_tokens
        self.tokens = tokens
        self.facts = facts
        names = [section.name for section in sections]
        if twice := [name for name in names if names.count(name) > 1]:
            raise TurnError(f"A prompt has two sections that are called `{twice[0]}`. Give each a name of its own.")


def _several(facts: object) -> bool:
    return isinstance(facts, Iterable) and not isinstance(facts, str | bytes | Mapping | Hit)


def _listed(facts: Any) -> tuple[Any, ...]:
    """The facts in their order; those of a set, which has none, in that of their JSON."""
    listed = tuple(map(_row, facts))
    return tuple(sorted(listed, key=canonical)) if isinstance(facts, set | frozenset) else listed


def _row(fact: Any) -> Any:
    """A fact; of a hit its row, since the score changes with every other row."""
    return cast(Hit[Any], fact).row if isinstance(fact, Hit) else fact
