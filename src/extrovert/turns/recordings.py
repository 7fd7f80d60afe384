"""Recordings of what models answered, in a file that can be kept beside the code."""

from __future__ import annotations

from typing import Literal

from extrovert.core.record import Record

__all__ = ["Recorded"]


class Recorded(Record):
    """The answers of a model, played from the file at `path`; `of` is the model, by the name that Pydantic AI knows.

    The same question finds the same answer: that is all on which an answer depends, as the engine remembers it.
    Another is refused as an error that names the question (`on_miss="refuse"`), or asked of the model, and its answer
    added to the file (`on_miss="ask"`).
    """

    path: str
    of: str
    on_miss: Literal["refuse", "ask"] = "refuse"
