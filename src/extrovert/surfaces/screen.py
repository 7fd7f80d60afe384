"""The screen: what is heard of a conversation, as a terminal or a pipe shows it."""

from __future__ import annotations

import sys
from threading import Condition

from extrovert.engine.transcript import Answer, Corrected, Heard, NoAnswer, Words
from extrovert.surfaces.overhearing import Listening
from extrovert.surfaces.printing import json_lines, plain

__all__ = ["PROMPT", "Screen"]

PROMPT = "> "
CLEAR = "\r\x1b[K"
"""To the beginning of the line, and nothing behind that."""


class Screen:
    """Shows what is heard, in the thread that hears it; another one may wait for an answer. `ended` counts what came
    to its end without."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._typing = sys.stdout.isatty() and sys.stdin.isatty()
        self._name = ""
        self._speaking = False
        self._answered: set[str] = set()
        self.ended = 0
        self._gone = False
        self._news = Condition()

    def begin(self, listening: Listening) -> None:
        """The conversation goes on after these messages."""
        self._name = listening.chat
        if self._as_json:
            json_lines({"type": "before", "message": one} for one in listening.messages)
        else:
            for one in listening.messages:
                self._write(f"{PROMPT if one.role == 'user' else f'{self._name}: '}{_lines(one.text)}\n")
            self._prompt()

    def show(self, heard: Heard) -> None:
        """Shows what was heard just now."""
        if self._as_json:
            json_lines([heard])
        else:
            self._tell(heard)
        with self._news:
            match heard:
                case Answer():
                    self._answered.update(heard.said.to)
                case NoAnswer():
                    self.ended += 1
                case _:
                    return
            self._news.notify_all()

    def gone(self) -> None:
        """Nothing more will be heard."""
        with self._news:
            self._gone = True
            self._news.notify_all()

    def wait_for(self, said: str, ended: int) -> bool:
        """Waits until what was said under this id is answered, or more than `ended` got no answer; False where nothing
        more will be heard."""
        with self._news:
            self._news.wait_for(lambda: said in self._answered or self.ended > ended or self._gone)
            return said in self._answered or self.ended > ended

    def _tell(self, heard: Heard) -> None:
        match heard:
            case Words():
                self._speak(heard.text)
            case Corrected():
                because = f": {', '.join(heard.because)} changed" if heard.because else ""
                self._end(f"[This does not hold any more{plain(because)}.]\n")
            case Answer():
                self._end("")
                self._prompt()
            case NoAnswer():
                self._end("")
                sys.stderr.write(f"No answer: {plain(heard.cause)}. See: extrovert dead-letters\n")
                self._prompt()

    def _speak(self, text: str) -> None:
        begins = "" if self._speaking else f"{CLEAR if self._typing else ''}{self._name}: "
        self._speaking = True
        self._write(begins + _lines(text))

    def _end(self, then: str) -> None:
        self._write("\n" * self._speaking + then)
        self._speaking = False

    def _prompt(self) -> None:
        if self._typing:
            self._write(PROMPT)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _lines(text: str) -> str:
    """Text of several lines, in which nothing gives orders to a terminal."""
    return "\n".join(map(plain, text.split("\n")))
