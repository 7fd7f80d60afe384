"""What an app declares, and the fingerprint of how its rows come to be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from extrovert import App, Record


class Row(Record):
    key: str
    number: int = 0


class RowWithMore(Record):
    key: str
    number: int = 0
    more: int = 0


class Dated(Record):
    key: str
    at: datetime


def fold(row: Row | None, event: Row) -> Row:
    return event


def other_fold(row: Row | None, event: Row) -> Row:
    return event.but(number=0)


def fingerprint(record: Any = Row, how: Any = None, owned: tuple[str, ...] = ()) -> str:
    app = App("app")
    events = app.stream("events", record, key="key")
    app.table("rows", record, key="key", source=events, fold=how, turns_own=owned)
    return str(app.declared().fingerprints())


def test_the_same_app_has_the_same_fingerprint() -> None:
    assert fingerprint() == fingerprint()
    assert fingerprint(how=fold) == fingerprint(how=fold)


def test_whatever_makes_other_rows_makes_another_fingerprint() -> None:
    others = [fingerprint(), fingerprint(RowWithMore), fingerprint(how=fold), fingerprint(how=other_fold)]
    assert len({*others, fingerprint(owned=("number",))}) == 5


def test_so_does_what_is_declared_about_time() -> None:
    def declared(**options: Any) -> str:
        app = App("app")
        app.table("rows", Dated, key=Dated.key, **options)
        return str(app.declared().fingerprints())

    hour = timedelta(hours=1)
    options: list[dict[str, Any]] = [{}, {"ttl": hour}, {"ttl": 2 * hour}, {"order_by": Dated.at}]
    options.append({"order_by": Dated.at, "history": hour})
    assert len({declared(**one) for one in options}) == 5


def view_fingerprint(function: Any, *, strict_shards: bool = False) -> str | None:
    app = App("app", strict_shards=strict_shards)
    function.__name__ = "viewed"
    app.view(over=app.table("rows", Row, key="key"))(function)
    return app.declared().view_fingerprints().get("viewed")


LIMIT = 3
limits = {"high": 4}


def rule(number: int, most: int) -> bool:
    return number > most


def other_rule(number: int, most: int) -> bool:
    return number >= most


def test_a_view_has_another_fingerprint_when_what_it_uses_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def above(most: int) -> Callable[[Row], int | None]:
        def viewed(row: Row) -> int | None:
            return row.number if rule(row.number, most) and row.number > LIMIT + limits["high"] else None

        return viewed

    here = sys.modules[__name__]
    found = [view_fingerprint(above(2)), view_fingerprint(above(5)), view_fingerprint(above(2), strict_shards=True)]
    assert view_fingerprint(above(2)) == found[0]
    for name, other in (("LIMIT", 4), ("limits", {"high": 5}), ("rule", other_rule)):
        with monkeypatch.context() as patch:
            patch.setattr(here, name, other)
            found.append(view_fingerprint(above(2)))
    assert None not in found
    assert len({*found}) == 6


def test_a_view_that_uses_what_cannot_be_told_apart_has_none() -> None:
    odd = iter([1])

    def next_one(row: Row) -> int:
        return next(odd)

    assert view_fingerprint(next_one) is None


def test_a_fold_without_source_code_is_known_by_its_name() -> None:
    made: dict[str, Any] = {}
    exec("def fold(row, event):\n    return event", made)
    assert fingerprint(how=made["fold"]) != fingerprint()
