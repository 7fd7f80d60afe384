"""What an app declares, and the fingerprint of how its rows come to be."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

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


def fingerprint(record: Any = Row, how: Any = None, owned: tuple[str, ...] = (), view: int = 0) -> str:
    app = App("app")
    events = app.stream("events", record, key="key")
    table = app.table("rows", record, key="key", source=events, fold=how, turns_own=owned)
    if view:

        @app.view(over=table)
        def double(row: Row) -> int:
            return row.number * view

    return app.declared().fingerprint()


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
        return app.declared().fingerprint()

    hour = timedelta(hours=1)
    options: list[dict[str, Any]] = [{}, {"ttl": hour}, {"ttl": 2 * hour}, {"order_by": Dated.at}]
    options.append({"order_by": Dated.at, "history": hour})
    assert len({declared(**one) for one in options}) == 5


def test_views_are_evaluated_anew_in_any_case() -> None:
    assert fingerprint(view=2) == fingerprint(view=3) == fingerprint()


def test_a_fold_without_source_code_is_known_by_its_name() -> None:
    made: dict[str, Any] = {}
    exec("def fold(row, event):\n    return event", made)
    assert fingerprint(how=made["fold"]) != fingerprint()
