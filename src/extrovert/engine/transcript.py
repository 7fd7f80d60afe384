"""Transcripts: what a listener has been sent of the words of a turn, so that what they were not is corrected openly.

Words are sent while they are being found, and a decision may come out otherwise: what it read has changed, and it was
asked anew. A listener is then told at once, and gets the words that hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from extrovert.core.record import Record
from extrovert.turns.conversation import Spoken

__all__ = ["Answer", "Corrected", "Heard", "NoAnswer", "Transcript", "Words"]


class Words(Record, tag="words"):
    """Some words more. They may still be corrected, until the answer is there."""

    text: str
    unasked: bool = False


class Corrected(Record, tag="corrected"):
    """The words since the last answer do not hold, because of what has changed, as `table/key`; others may follow."""

    because: list[str] = []
    unasked: bool = False

    @property
    def text(self) -> str:
        """The same for a user, whose business the names of rows are not."""
        if self.because:
            return "what I just said does not hold any more, because something has changed."
        return "what I just said does not hold."


class Answer(Record, tag="answer"):
    """What was said is committed and durable. It is, word for word, what the words since the last correction make, but
    for the line breaks between the parts of what a model says in several."""

    said: Spoken
    tokens_in: int = 0
    tokens_out: int = 0


class NoAnswer(Record, tag="no_answer"):
    """What was said gets no answer: the turn came to a bad end. The dead letters tell of it."""

    cause: str
    unasked: bool = False


Heard = Words | Corrected | Answer | NoAnswer
heard_of: msgspec.json.Decoder[Heard] = msgspec.json.Decoder(Heard)


class Transcript:
    """What one listener was `sent` of the answer that one agent is finding."""

    def __init__(self, *, unasked: bool = False) -> None:
        self.sent = ""
        self._unasked = unasked
        self._gap = False

    def begins(self) -> None:
        """The model begins to speak: it goes on after a call of tools, or is asked something else."""
        self._gap = bool(self.sent)

    def words(self, text: str) -> Iterator[Heard]:
        """It says some words more."""
        if self._gap:
            yield Words("\n\n", self._unasked)
            self.sent, self._gap = "", False
        self.sent += text
        yield Words(text, self._unasked)

    def cut(self, because: Sequence[str]) -> Iterator[Heard]:
        """What it was saying does not count any more."""
        if self.sent:
            yield Corrected(list(because), self._unasked)
        self.sent, self._gap = "", False

    def ends(self, text: str) -> Iterator[Heard]:
        """The turn has committed `text`: sends what is missing of it. Space around it does not count."""
        text, sent = text.strip(), self.sent.lstrip()
        sent = sent if text.startswith(sent) else sent.rstrip()
        if not text.startswith(sent):
            yield Corrected([], self._unasked)
            sent = ""
        if text != sent:
            yield Words(text[len(sent) :], self._unasked)
        self.sent, self._gap = "", False
