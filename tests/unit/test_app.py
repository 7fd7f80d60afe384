"""Declarations: what is wrong with one is said at once, with what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from extrovert import AlreadyRunning, App, DeclarationError, Record, Turn

if TYPE_CHECKING:
    from decimal import Decimal


class Row(Record):
    key: str
    number: int = 0
    part: float = 0.0


class Other(Record):
    key: str


class Delayed(Record, tag=True):
    key: str


class Cancelled(Record, tag=True):
    key: str


class OtherKey(Record, tag=True):
    flight: str


async def good(turn: Turn, row: Row) -> None: ...
async def one_parameter(turn: Turn) -> None: ...
def good_view(row: Row) -> int: ...
async def waiting_view(row: Row) -> int: ...
def view_of_two(row: Row, other: Row) -> int: ...
def view_of_several(row: Row) -> Iterator[Row]:
    yield row


def no_coroutine(turn: Turn, row: Row) -> None: ...
async def not_imported(turn: Turn, row: Decimal) -> None: ...


NO_COROUTINE: Any = no_coroutine


def rows(app: App) -> Any:
    return app.table("rows", Row, key=Row.key)


WRONG: dict[str, tuple[Callable[[App], Any], str]] = {
    "a table of something else": (
        lambda app: app.stream("s", int, key="key"),
        "Stream `s`: <class 'int'> is not a Record",
    ),
    "a key that is not there": (lambda app: app.table("t", Row, key="id"), "`Row` has no field `id`"),
    "a key that is no key": (
        lambda app: app.table("t", Row, key=Row.part),
        "its key `part` must be a `str` or an `int`",
    ),
    "a union without tags": (lambda app: app.stream("s", Row | Other, key="key"), "the records of a union need tags"),
    "a union without a common key": (
        lambda app: app.stream("s", Delayed | OtherKey, key="key"),
        "`OtherKey` has no field `key`",
    ),
    "a name that is none": (lambda app: app.table("my table", Row, key="key"), "`my table` is no name for a"),
    "an empty name": (lambda app: app.stream("", Row, key="key"), "is no name for a stream"),
    "a name that is taken": (lambda app: (rows(app), rows(app)), "There are two streams named `rows`"),
    "a table of what its source has not": (
        lambda app: app.table("t", Row, key="key", source=app.stream("s", Other, key="key")),
        "holds Row, but its source `s` does not; say how with fold=",
    ),
    "a table by another key than its source": (
        lambda app: app.table("t", Row, key="number", source=app.stream("s", Row, key="key")),
        "is keyed by `number`, but its source `s` by `key`",
    ),
    "an agent on nothing": (lambda app: app.agent(wakes_on=7)(good), "wakes on a view, a table or a stream, not on 7"),  # pyright: ignore
    "an agent that is no coroutine": (
        lambda app: app.agent(wakes_on=rows(app))(NO_COROUTINE),
        "must be an `async def`",
    ),  # pyright: ignore
    "an agent with too few parameters": (
        lambda app: app.agent(wakes_on=rows(app))(one_parameter),  # pyright: ignore
        r"Agent `one_parameter` must take \(turn, value\), or \(turn, value, old\)",
    ),
    "a name that is not imported": (
        lambda app: app.agent(wakes_on=rows(app))(not_imported),
        "Agent `not_imported`: name 'Decimal' is not defined. Its annotations are read when it is declared",
    ),
    "a policy with three parameters": (
        lambda app: app.policy(lambda a, b, c: 1),  # pyright: ignore
        r"must take \(facts\) or \(facts, refusals\)",
    ),
    "an effect that is no coroutine": (
        lambda app: app.effect(NO_COROUTINE),
        "Effect `no_coroutine` must be an `async def`",
    ),  # pyright: ignore
    "an idempotent effect without a key": (
        lambda app: app.effect(idempotent=True)(good),
        "is declared idempotent, but takes no `idempotency_key`",
    ),
    "a model that nobody reaches": (
        lambda app: (app.agent(wakes_on=rows(app), model="gpt")(good), app.declared()),
        "asks model `gpt`, which is not known",
    ),
    "a view with the name of a table": (
        lambda app: app.view(over=app.table("good_view", Row, key="key"))(good_view),
        "There is a table named `good_view`, so no view can have that name. Rename one",
    ),
    "a table with the name of a search": (
        lambda app: (app.search("found", over=rows(app), text="key"), app.table("found", Row, key="key")),
        "There is a search named `found`, so no table can have that name",
    ),
    "a view of two rows": (
        lambda app: app.view(over=rows(app))(view_of_two),  # pyright: ignore
        "View `view_of_two` must take one parameter, the row",
    ),
    "a view that waits": (
        lambda app: app.view(over=rows(app))(waiting_view),
        "View `waiting_view` is `async`, but a view waits for nothing",
    ),
    "a view of several rows without their key": (
        lambda app: app.view(over=rows(app))(view_of_several),
        "View `view_of_several` yields several values. Say by which field they are told apart: key=",
    ),
    "a view over a range that is none": (
        lambda app: app.view(over=rows(app), keys=("a", "b"))(good_view),  # pyright: ignore
        r"View `good_view`: keys= is between\(low, high\), not \('a', 'b'\)",
    ),
    "a view over another app's table": (
        lambda app: app.view(over=rows(App("other")))(good_view),
        "A view: over= is `rows`, which another app has declared. Declare it with this one",
    ),
    "an agent on another app's table": (
        lambda app: (app.agent(wakes_on=rows(App("other")))(good), app.declared()),
        "Agent `good` wakes on table `rows`, which another app has declared",
    ),
    "a search over another app's table": (
        lambda app: app.search("found", over=rows(App("other")), text="key"),
        "Search `found`: over= is `rows`, which another app has declared",
    ),
    "a table of a table": (
        lambda app: app.table("t", Row, key=Row.key, source=rows(app)),
        "Table `t`: source= is a stream, not <extrovert.context.table.Table",
    ),
    "a table of another app's stream": (
        lambda app: app.table("t", Row, key=Row.key, source=App("other").stream("s", Row, key=Row.key)),
        "Table `t`: source= is `s`, which another app has declared",
    ),
    "a stream derived from another app's": (
        lambda app: app.stream("t", Row, key=Row.key, source=App("other").stream("s", Row, key=Row.key)),
        "Stream `t` is derived from `s`, which another app has declared",
    ),
    "a stream derived by no function": (
        lambda app: app.stream("s", Row, key=Row.key).map("upper"),  # pyright: ignore
        "Streams are derived by functions of an event, not by 'upper'",
    ),
    "two agents of one name": (
        lambda app: (app.agent(wakes_on=(table := rows(app)))(good), app.agent(wakes_on=table)(good)),
        "There are two agents named `good`. Rename one",
    ),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_is_declared_wrongly_is_said_at_once(name: str) -> None:
    what, message = WRONG[name]
    with pytest.raises(DeclarationError, match=message):
        what(App("app"))


def test_a_table_without_a_source_folds_the_stream_of_its_name() -> None:
    app = App("app")
    rows(app)
    assert [stream.name for stream in app.declared().streams] == ["rows"]


def test_a_stream_may_hold_a_union() -> None:
    stream = App("app").stream("events", Delayed | Cancelled, key=Delayed.key)
    assert stream.key_of(Cancelled("F1")) == "F1"


def test_a_name_may_have_a_hyphen() -> None:
    assert App("app").stream("flight-events", Row, key="key").name == "flight-events"


def test_who_accepts_none_is_told_what_went_away() -> None:
    app = App("app")
    table = rows(app)

    async def optional(turn: Turn, row: Row | None) -> None: ...
    async def untold(turn: Turn, row: Row) -> None: ...

    assert not app.agent(wakes_on=table)(optional).declines_none
    assert app.agent(wakes_on=table)(untold).declines_none
    app2 = App("app")
    stream: Any = app2.stream("s", Row, key="key")
    assert app2.agent(wakes_on=stream)(optional).declines_none


def test_an_agents_options_are_kept() -> None:
    app = App("app")
    agent = app.agent(
        wakes_on=rows(app), concurrency=3, max_reruns=4, max_refusals=5, max_tries=6, retry_after=timedelta(7)
    )(good)
    assert (agent.concurrency, agent.max_reruns, agent.max_refusals, agent.max_tries) == (3, 4, 5, 6)
    assert agent.retry_after == timedelta(7)


async def test_an_app_can_be_served_inside_another_program(tmp_path: Path) -> None:
    app = App("app")
    table = rows(app)
    async with app.serving(tmp_path / "state") as engine:
        engine.intake.lines("rows", b'{"key":"a"}')
        await engine.durable()
        with engine.reading():
            assert table["a"] == Row("a")
        with pytest.raises(AlreadyRunning, match=r"Another engine \(process \d+\) has"):
            async with app.serving(tmp_path / "state"):
                pass
    async with app.serving(tmp_path / "state") as engine:
        with engine.reading():
            assert table["a"] == Row("a")
