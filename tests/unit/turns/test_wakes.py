"""The wake book: who is due, since when, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from extrovert.core.log import Wake
from extrovert.turns.declare import Agent
from extrovert.turns.wakes import WakeBook
from tests.holding import held


async def nothing(turn: object, value: object) -> None: ...


def book(source: str = "view", *, declines_none: bool = True, **options: Any) -> WakeBook:
    return WakeBook(Agent("a", nothing, source=source, on="x", declines_none=declines_none, model="", **options))


def saw(digest: str) -> Wake:
    return Wake("x", 1, 100, digest=digest)


def above_three(value: Any) -> bool:
    return value > 3


def itself(value: Any) -> Any:
    return value


def its_rank(value: Any) -> Any:
    return value["rank"]


def served(wakes: WakeBook) -> list[Any]:
    """The keys in the order in which they are served."""
    keys: list[Any] = []
    while (key := wakes.next_key()) is not None:
        wakes.begin(key)
        keys.append(key)
    return keys


def test_nobody_is_due_at_first() -> None:
    assert book().next_key() is None


def test_a_value_that_was_not_seen_is_due_since_it_came() -> None:
    wakes = book()
    wakes.value_is("F1", 5, 3, 100)
    wakes.value_is("F1", 6, 4, 200)
    assert wakes.due == {"F1": Wake("x", 3, 100)}


def test_a_value_that_was_seen_is_not() -> None:
    wakes = book()
    wakes.value_is("F1", 5, 3, 100)
    wakes.begin("F1")
    wakes.end("F1", saw(wakes.digest(5, 3)), 150)
    wakes.value_is("F1", 5, 9, 200)
    assert wakes.due == {}
    wakes.value_is("F1", 6, 10, 200)
    wakes.value_is("F1", 5, 11, 200)
    assert wakes.due == {}


def test_while_a_turn_runs_nobody_is_due() -> None:
    wakes = book()
    wakes.value_is("F1", 5, 3, 100)
    wakes.begin("F1")
    wakes.value_is("F1", 6, 4, 120)
    assert wakes.due == {}


def test_what_went_away_is_forgotten_or_is_due() -> None:
    for declines_none, due in ((True, set[str]()), (False, {"F1"})):
        wakes = book(declines_none=declines_none)
        wakes.value_is("F1", 5, 3, 100)
        wakes.begin("F1")
        wakes.end("F1", saw(wakes.digest(5, 3)), 150)
        wakes.value_is("F1", None, 9, 200)
        assert set(wakes.due) == due


def test_a_table_row_is_known_by_its_version_and_a_value_by_its_content() -> None:
    assert book("table").digest("row", 17) == "17"
    assert book().digest({"b": 1, "a": 2}, 17) == book().digest({"a": 2, "b": 1}, 18)
    assert book().digest(None, 17) == ""
    assert book().digest(object(), 17) == "17"


def test_a_condition_limits_what_is_due() -> None:
    wakes = book(when=above_three)
    wakes.value_is("F1", 3, 1, 100)
    wakes.value_is("F2", 4, 2, 100)
    wakes.value_is("F3", "text", 3, 100)
    assert set(wakes.due) == {"F2", "F3"}  # the last one fails, visibly
    wakes.value_is("F2", 2, 4, 100)
    assert set(wakes.due) == {"F3"}


def test_rows_that_cannot_matter_are_not_noted() -> None:
    wakes = book("table", when=above_three)
    wakes.rows_changed(["F1", "F2", "F3"], [1, 5, None])
    assert list(wakes.take_rows()) == ["F2"]
    assert list(wakes.take_rows()) == []
    wakes.value_is("F2", 5, 1, 100)
    wakes.rows_changed(["F2", "F1"], [1, 1])
    assert list(wakes.take_rows()) == ["F2"]
    wakes.rows_changed(["F4"], ["text"])
    assert list(wakes.take_rows()) == ["F4"]


def test_without_a_condition_all_rows_are_noted() -> None:
    wakes = book("table")
    wakes.rows_changed(["F1", "F2", "F1"], [1, None, 2])
    assert list(wakes.take_rows()) == ["F1", "F2"]


def test_events_wait_until_a_turn_takes_them() -> None:
    wakes = book("stream")
    wakes.event_came("F1", "fog", 1, 100)
    wakes.event_came("F1", "snow", 2, 110)
    wake, events = wakes.begin("F1")
    assert wake == Wake("x", 1, 100, [1, 2])
    assert events == [(1, "fog"), (2, "snow")]
    wakes.event_came("F1", "ice", 3, 120)
    assert wakes.due == {}
    wakes.end("F1", saw(""), 130)
    assert wakes.due == {"F1": Wake("x", 3, 130)}


def test_a_turn_of_the_log_takes_the_events_that_it_took_then() -> None:
    wakes = book("stream")
    for offset in (1, 2, 3):
        wakes.event_came("F1", str(offset), offset, 100)
    _, events = wakes.begin("F1", Wake("x", 1, 100, [1, 2]))
    assert events == [(1, "1"), (2, "2")]
    assert wakes.events == {"F1": [(3, "3")]}


def test_who_is_first_by_the_order_is_served_first_and_then_who_waits_longest() -> None:
    wakes = book(order=itself)
    wakes.value_is("late", 1, 4, 300)
    wakes.value_is("second", 2, 1, 100)
    wakes.value_is("first", 1, 2, 200)
    assert served(wakes) == ["first", "late", "second"]


def test_an_order_that_changes_counts() -> None:
    wakes = book(order=itself)
    wakes.value_is("a", 1, 1, 100)
    wakes.value_is("b", 2, 2, 100)
    wakes.value_is("a", 3, 3, 100)
    assert served(wakes) == ["b", "a"]


def test_an_order_that_raises_or_is_none_comes_last() -> None:
    wakes = book(order=its_rank)
    wakes.value_is("a", {}, 1, 100)
    wakes.value_is("b", {"rank": None}, 2, 100)
    wakes.value_is("c", {"rank": 5}, 3, 100)
    assert served(wakes) == ["c", "a", "b"]


def test_a_failed_wake_is_due_again() -> None:
    wakes = book()
    wakes.value_is("F1", 5, 3, 100)
    wakes.begin("F1")
    wakes.end("F1", saw(wakes.digest(5, 3)), 150)
    wakes.again("F1", 5, 9, 200)
    assert wakes.due == {"F1": Wake("x", 9, 200)}
    assert wakes.seen == {}


def test_a_failed_wake_of_what_is_gone_is_not_due_again() -> None:
    wakes = book()
    wakes.again("F1", None, 9, 200)
    assert wakes.due == {}


def test_a_failed_wake_of_events_gets_them_back_before_the_others() -> None:
    wakes = book("stream")
    wakes.event_came("F1", "ice", 7, 100)
    wakes.again("F1", None, 9, 200, [(1, "fog")])
    assert wakes.events == {"F1": [(1, "fog"), (7, "ice")]}
    running = book("stream")
    running.running.add("F1")
    running.again("F1", None, 9, 200, [(1, "fog")])
    assert running.due == {}
    running.end("F1", saw(""), 300)
    assert set(running.due) == {"F1"}


def test_a_key_that_rests_is_due_and_not_served() -> None:
    wakes = book("stream", rest=timedelta(microseconds=100))
    wakes.event_came("F1", "fog", 1, 0)
    wakes.begin("F1")
    wakes.end("F1", saw(""), 50)
    wakes.event_came("F1", "snow", 2, 60)
    wakes.release(149)
    assert (wakes.next_key(), wakes.next_us()) == (None, 150)
    wakes.release(150)
    assert (wakes.next_key(), wakes.next_us()) == ("F1", None)


def test_the_end_of_an_earlier_rest_does_not_end_a_later_one() -> None:
    wakes = book("stream", rest=timedelta(microseconds=100))
    for offset, begun_us in ((1, 0), (2, 0), (3, 90)):
        wakes.event_came("F1", "fog", offset, begun_us)
        if offset < 3:
            wakes.begin("F1")  # as in a replay, where nobody is served and nobody waits
            wakes.end("F1", saw(""), 90 * offset - 90)
    wakes.release(100)
    assert wakes.next_key() is None
    wakes.release(190)
    assert wakes.next_key() == "F1"


def test_places_of_different_types_stand_beside_each_other() -> None:
    wakes = book(order=itself)
    there = datetime(2026, 1, 1, tzinfo=UTC)
    places = ["b", 2, (1, "x"), "a", (1, 2.5), 1.5, there.replace(tzinfo=None), there, [1], ["a"]]
    for offset, place in enumerate(places, start=1):
        wakes.value_is(offset, place, offset, offset)
    order = [1.5, 2, places[6], places[7], "a", "b", [1], (1, 2.5), (1, "x"), ["a"]]
    assert [places[key - 1] for key in served(wakes)] == order


def test_what_compares_with_nothing_comes_last() -> None:
    wakes = book(order=itself)
    for offset, place in enumerate([{"a": 1}, float("nan"), 7], start=1):
        wakes.value_is(offset, place, offset, offset)
    assert served(wakes) == [3, 1, 2]


def test_keys_that_come_and_go_take_no_room_while_another_waits() -> None:
    wakes = book(order=itself)
    wakes.value_is("first", 0, 1, 1)
    before = held(wakes).objects
    for number in range(1_000):
        wakes.value_is(f"F{number}", 1 + number, number, number)
        wakes.value_is(f"F{number}", None, number, number)
    assert held(wakes).objects < before + 500
    assert served(wakes) == ["first"]


def test_a_key_whose_place_changes_all_the_time_takes_no_room_and_keeps_its_last_place() -> None:
    wakes = book(order=itself)
    wakes.value_is("first", 0, 1, 1)
    wakes.value_is("last", 2_000, 1, 1)
    before = held(wakes).objects
    for number in range(1_000):
        wakes.value_is("F1", 1 + number, number, number)
    assert held(wakes).objects < before + 1_000
    assert served(wakes) == ["first", "F1", "last"]
