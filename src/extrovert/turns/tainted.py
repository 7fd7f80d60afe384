"""Tainted: what text from outside one attempt has come across, and so with what its model may have been instructed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

from extrovert.context.reads import Readable
from extrovert.context.table import TableState
from extrovert.context.tainting import Found, Tainting
from extrovert.context.view import ViewState
from extrovert.core.untrusted import records_in, texts
from extrovert.turns.ledger import named
from extrovert.turns.permits import TrustedField
from extrovert.turns.request import Question
from extrovert.turns.scope import TurnScope

__all__ = ["Taint"]

OTHER = "the answer to an earlier question"


class Taint:
    """The text from outside among what an attempt has read, heard and been told; it follows from these alone.

    It is looked for before the turn waits, and when that matters, in the order in which things came. What came after a
    model had answered, with text from outside before it, may be what that text wanted to be read: the turn is then
    `swayed`, and no row that it reads from there on is one whose fields are trusted.
    """

    def __init__(self, tainting: Tainting, scope: TurnScope) -> None:
        self.swayed = False
        self._tainting = tainting
        self._scope = scope
        self._found = Found()
        self._given: list[Callable[[Found], None]] = []
        self._looked = 0
        self._any = tainting.any
        self._ever = tainting.ever

    @property
    def names(self) -> tuple[str, ...]:
        """The text from outside, by what was read and the field: `reviews/R1: Review.text`."""
        return tuple(self.look().outside) if self._any else ()

    def trusts(self, text: str | bytes) -> bool:
        """Whether a text stands in a trusted field of what was read."""
        return text in self.look().trusted

    def values(self, field: TrustedField) -> list[Any]:
        """The values of a field in the rows and events that came before a model may have been swayed."""
        record, name = field
        rows = self.look().rows
        return [getattr(one, name) for row in rows for one in records_in(row) if isinstance(one, record)]

    # ---- what comes otherwise than by reading

    def heard(self, stream: str, event: Any) -> None:
        """An event of a stream was given to the turn."""
        if event is not None:
            self._given.append(lambda found: self._tainting.event(stream, event, stream, found))

    def woken(self, source: str, on: str, key: Any, value: Any, old: Any) -> None:
        """The turn is about this row of a table, or value of a view, and is told what that was."""
        context = self._scope.context
        of: ViewState | TableState = context.views[on] if source == "view" else context.tables[on]
        self._given.append(
            lambda found: self._see(of, lambda found: self._tainting.look(of, key, value, named(of, key), found), found)
        )
        if old is not None:
            was = f"{named(of, key)} as it was"
            self._given.append(lambda found: self._tainting.old(of, key, old, was, found))

    def led(self, names: tuple[str, ...]) -> None:
        """This text from outside was read on the way to a refusal, and what is asked now tells of that."""
        self._any = self._any or bool(names)
        self._ever = self._ever or bool(names)
        self._found.outside.update(dict.fromkeys(names))

    def told(self, name: str, value: Any, kind: Any) -> None:
        """Something outside has answered, with a value of this type."""
        outside = any(text.outside for text in texts(value, kind))
        self._any, self._ever = self._any or outside, self._ever or outside

        def tell(found: Found) -> None:
            for text in texts(value, kind):
                found.add(text, name, outside=text.outside)

        self._given.append(tell)

    def answered(self, question: Question) -> None:
        """An ask is answered; in a guarded turn perhaps by the answer to another, and who knows what led to that."""
        if self._ever and question.place[0] != question.request.hash:
            self._found.outside[OTHER] = None
        if question.request.kind == "ask" and self.names:
            self.swayed = True

    # ---- looking for it

    def look(self) -> Found:
        """Everything so far. A turn looks before it waits, as what it has read may be gone when it goes on."""
        if self._given or self._looked < len(self._scope.own):
            found = self._found if not self.swayed else Found()
            given, self._given = self._given, []
            for look in given:
                look(found)
            for of, selector in islice(self._scope.own, self._looked, None):
                self._see(of, partial(self._look, of, selector), found)
            self._looked = len(self._scope.own)
            if found is not self._found:
                self._found.outside |= found.outside
                self._found.later(lambda all_: all_.trust(found.trusted))
        return self._found

    def _look(self, of: Readable, selector: Any, found: Found) -> None:
        copy = self._scope.copy
        value = of.look(selector)[0] if copy is None else copy.look(of, selector)[0]
        self._tainting.look(of, selector, value, named(of, selector), found)

    def _see(self, of: Readable, look: Callable[[Found], None], found: Found) -> None:
        """Looks at what was read; at what cannot taint, later. A copy may have what is now not behind a view."""
        if self._scope.copy is None and self._tainting.pure(of):
            found.later(look)
        else:
            look(found)
