"""What was asked, as the log keeps it: an ask, what a model was told beside it, and how prompts that repeat each other
are kept once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from extrovert.core.record import Record

__all__ = ["AskSent", "Lines", "Told", "is_prompt", "shortened", "text_of", "whole"]

LEAST = 200
"""What is not longer by so many bytes than what would stand for it stays whole."""
MOST = 8
"""To so many earlier asks an ask is compared at most."""
POINTER = 70
"""About how many bytes it takes to say what an ask is like."""


class Lines(Record, array_like=True):
    """Where the lines `first` to `last` of a prompt come from, counted from 1: the row, event or value at the key `at`
    of the table, stream or view `of`, and its version; "" where they were computed.

    It was found `through` an index, a search, or a field of a view's value, or is the turn's own write.
    """

    first: int
    last: int
    of: str = ""
    at: Any = None
    version: int = 0
    through: str = ""


class AskSent(Record, omit_defaults=True):
    """An ask as sent: `hash` is the fingerprint of its request, `occurrence` counts equal requests in one turn.

    `told` names what the model was told beside it: see `Told`. With `like` the request repeats that of an earlier ask
    of the turn, the one with this hash: as JSON text it begins with the first `begins` characters of that one's and
    ends with its last `ends`, and `request` is the text between. `whole` gives it back. With tools the request is a
    list of `steps`: what is asked, then what was said and what came of the calls, each time.

    Of a prompt that is put together of facts, `lines` says where its lines come from (in the first step), and `facts`
    what a policy that answers in the model's place is given.
    """

    hash: str
    occurrence: int
    model: str
    request: msgspec.Raw
    kind: str = "ask"
    told: str = ""
    like: str = ""
    begins: int = 0
    ends: int = 0
    steps: int = 0
    lines: list[Lines] = []
    facts: msgspec.Raw = msgspec.Raw(b"null")


class Told(Record, omit_defaults=True, tag="told", tag_field="kind"):
    """What a model is told beside what it is asked, once in the log, under the fingerprint `told`: the agent's
    instructions, the model's parameters without keys, the JSON schema of the wanted answer, and the `tools` that it
    was offered, as a list of their names, descriptions and the schemas of their parameters (null: none)."""

    told: str
    schema: msgspec.Raw
    instructions: str = ""
    parameters: msgspec.Raw = msgspec.Raw(b"null")
    tools: msgspec.Raw = msgspec.Raw(b"null")


def is_prompt(sent: AskSent) -> bool:
    """Whether an ask may be told by another, or another by it: one of a model, if it is long."""
    return sent.kind == "ask" and not sent.model.startswith("policy:") and len(bytes(sent.request)) > LEAST


def text_of(request: msgspec.Raw, steps: int) -> str:
    """The text of a prompt, of its whole request and how many steps that has; "" where the log has it no more."""
    if steps and request != msgspec.Raw(b"null"):
        request = msgspec.json.decode(request, type=list[msgspec.Raw])[0]
    return msgspec.json.decode(request, type=str | None) or ""


def whole(asks: Sequence[AskSent], known: Iterable[AskSent]) -> list[AskSent]:
    """The asks of an entry with their requests whole; `known` are earlier ones of the turn, whole themselves.

    What repeats an ask that is not there any more is null: the turn ended before the span for which the log is kept.
    """
    texts = {sent.hash: sent.request for sent in known}
    found: list[AskSent] = []
    for sent in asks:
        one = _filled(sent, texts.get(sent.like)) if sent.like else sent
        texts[one.hash] = one.request
        found.append(one)
    return found


def shortened(asks: Sequence[AskSent], known: Iterable[AskSent]) -> list[AskSent]:
    """The asks as the log is to hold them: those that mostly repeat one of `known`, or one before them, by what
    differs. `whole` undoes it."""
    earlier = [sent for sent in known if is_prompt(sent)]
    found: list[AskSent] = []
    for sent in asks:
        if not is_prompt(sent):
            found.append(sent)
            continue
        found.append(min((sent, *(_by(sent, one) for one in earlier[-MOST:])), key=_size))
        earlier.append(sent)
    return found


def _filled(sent: AskSent, base: msgspec.Raw | None) -> AskSent:
    text = b"null"
    if base is not None:
        like = bytes(base).decode()
        between = msgspec.json.decode(sent.request, type=str)
        text = (like[: sent.begins] + between + like[len(like) - sent.ends :]).encode()
    return sent.but(request=msgspec.Raw(text), like="", begins=0, ends=0)


def _by(sent: AskSent, base: AskSent) -> AskSent:
    """The ask told by another one; as it is where that saves too little."""
    text, like = bytes(sent.request).decode(), bytes(base.request).decode()
    begins = _same(text, like)
    ends = _same(text[begins:][::-1], like[begins:][::-1])
    between = msgspec.Raw(msgspec.json.encode(text[begins : len(text) - ends]))
    short = sent.but(request=between, like=base.hash, begins=begins, ends=ends)
    saved = _size(sent) - _size(short)
    return short if saved > LEAST and 2 * saved >= _size(sent) else sent


def _size(sent: AskSent) -> int:
    return len(bytes(sent.request)) + (POINTER if sent.like else 0)


def _same(one: str, other: str) -> int:
    """How many characters at the beginning of two texts are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
