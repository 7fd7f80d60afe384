"""Words: what a model says, told to whoever listens, while it says it.

They are no part of what happens: nothing is decided by them, they are not kept, and what was said so far may still be
cut. What counts is the answer, which is logged as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from extrovert.core.record import Record
from extrovert.engine.listeners import Listeners

__all__ = ["Begun", "Cut", "Delta", "Done", "Word", "Words"]


class Begun(Record, tag="begun"):
    """A model begins to answer; `ask` names the request."""

    ask: str


class Delta(Record, tag="delta"):
    """It says some words more."""

    ask: str
    text: str


class Cut(Record, tag="cut"):
    """It was cut off: nobody wants to know any more, since the world has changed, or it failed. What it said does not
    count."""

    ask: str


class Done(Record, tag="done"):
    """It has said all of it. The answer as a whole may still be refused."""

    ask: str


Word = Begun | Delta | Cut | Done


class Words:
    """Who listens to which agent and key. Models are asked to stream their text only where somebody does."""

    def __init__(self) -> None:
        self._listeners: Listeners[Word] = Listeners()

    def listen(self, agent: str, key: Any, heard: Callable[[Word], None]) -> Callable[[], None]:
        """From now on `heard` is called, in the engine's event loop, with each word of what this agent is answered for
        this key, in order, until what is returned is called. Requests that have gone out before are not heard. It must
        not raise, and not wait."""
        return self._listeners.add(agent, key, heard)

    def wanted(self, agent: str, key: Any) -> bool:
        """Whether somebody listens."""
        return self._listeners.wanted(agent, key)

    def tell(self, agent: str, key: Any, word: Word) -> None:
        """Somebody listens, and this is said."""
        self._listeners.tell(agent, key, word)
