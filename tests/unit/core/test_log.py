"""The bodies of the log: each says its kind, leaves out what has its default value, and reads back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from extrovert.core.log import (
    Answered,
    AskSent,
    Attempted,
    Body,
    Dead,
    Decided,
    EffectMoved,
    EffectStep,
    Ended,
    Events,
    Failed,
    Passed,
    ReadNote,
    Retried,
    Wake,
    Write,
)

WAKE = Wake("flights", 3, 17)
ASK = AskSent("cafe", 0, "policy:first", msgspec.Raw(b'"which?"'))
BODIES: list[Any] = [
    Events("flights", [msgspec.Raw(b'{"flight_id":"F1"}')], "tower", 5),
    Dead("flights", "no good", raw="{", line=4),
    Retried(9),
    Passed(),
    Attempted("a:F1@3", "a", "F1", 1, "woken", asks=[ASK], wake=WAKE),
    Answered("a:F1@3", "cafe", 0, msgspec.Raw(b"17")),
    Decided(
        "a:F1@3",
        "a",
        7,
        WAKE,
        2,
        "answered",
        [ReadNote("row", "seats", "F1", 4)],
        writes=[Write("t", 1, msgspec.Raw(b"null"))],
    ),
    Ended("a:F1@3", "a", "F1", "gone", WAKE, 1),
    Failed("a:F1@3", "a", "F1", 1, "ValueError: no", 99),
    EffectStep([EffectMoved("a:F1@3/0", "settled", msgspec.Raw(b"1"))]),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_a_body_reads_back(body: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(body), type=Body) == body


def test_a_body_says_its_kind_first() -> None:
    kinds = [msgspec.json.encode(body)[: len(b'{"kind":"') + 3] for body in BODIES]
    assert kinds == [
        b'{"kind":"' + kind for kind in (b"eve", b"dea", b"ret", b"pas", b"att", b"ans", b"dec", b"end", b"fai", b"eff")
    ]


def test_defaults_are_left_out() -> None:
    assert msgspec.json.encode(Retried(9)) == b'{"kind":"retried","letter":9}'
    assert msgspec.json.encode(WAKE) == b'{"on":"flights","offset":3,"at_us":17}'
