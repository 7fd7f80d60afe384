"""Ordered entries: the same as a sorted list, whatever comes and goes."""

from __future__ import annotations

import random
from typing import Any

from extrovert.context.ordered import BLOCK, Ordered


def test_entries_are_in_order_whatever_comes_and_goes() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    draw = random.Random(seed)
    entries, plain = Ordered(), set[tuple[Any, ...]]()
    for growing in (0.9, 0.1, 0.6, 0.0):
        for _ in range(6 * BLOCK):
            if draw.random() < growing:
                entry = (draw.randrange(10), draw.random())
                entries.add(entry)
                plain.add(entry)
            elif plain:
                entry = draw.choice(sorted(plain)) if len(plain) < BLOCK else next(iter(plain))
                entries.remove(entry)
                plain.remove(entry)
        assert list(entries) == sorted(plain)
        for low in [(-1,), (5,), (5, 0.5), (10,)]:
            assert list(entries.since(low)) == [entry for entry in sorted(plain) if entry >= low]
            for high in [(-1,), (5,), (7, 0.5), (10,)]:
                start, end = entries.place(low, behind=True), entries.place(high, behind=True)
                inside = [entry for entry in sorted(plain) if entry[: len(low)] > low and entry[: len(high)] <= high]
                assert list(entries.between(start, end)) == inside
                assert list(entries.back(start, end)) == inside[::-1]
                assert max(0, entries.rank(end) - entries.rank(start)) == len(inside)


def test_there_is_nothing_in_none() -> None:
    assert list(Ordered()) == []
    assert list(Ordered().since((1,))) == []
