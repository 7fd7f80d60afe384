"""A log outlives the app that wrote it: a changed record is read as it was meant, or refused at start-up with what to
do."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import field

from extrovert import App, DeclarationError, Record
from tests.hosts import Host

DELAY = ("minutes", int)
WHY = ("why", str, "unknown")


def a_record(name: str, *fields: tuple[Any, ...], **options: Any) -> Any:
    """A record type with these fields: (name, type) or (name, type, default)."""
    body: dict[str, Any] = {one[0]: one[2] for one in fields if len(one) > 2}
    body["__annotations__"] = {one[0]: one[1] for one in fields}
    return types.new_class(name, (Record,), options, lambda namespace: namespace.update(body))


def edition(*fields: tuple[Any, ...], tag: str = "Delay") -> App:
    """An app whose table holds a `Delay` of a flight with these fields."""
    record = a_record("Delay", ("flight_id", str), *fields, tag=tag)
    app = App("airline")
    app.table("delays", record, key="flight_id")
    return app


async def written(path: Path, app: App, *lines: bytes) -> dict[Any, Any]:
    """What the table holds after one more life that took in `lines`."""
    host = Host(app, path)
    host.engine.intake.lines("delays", b"\n".join(lines))
    await host.settle()
    host.flush()
    host.kill()
    return {key: msgspec.to_builtins(row) for key, row in host.fold.context.tables["delays"].rows.items()}


async def started(path: Path, app: App) -> dict[Any, Any]:
    return await written(path, app)


FIRST = b'{"type":"Delay","flight_id":"F1","minutes":30}'


async def test_a_field_can_be_added_with_a_default(tmp_path: Path) -> None:
    await written(tmp_path / "log", edition(DELAY), FIRST)
    rows = await started(tmp_path / "log", edition(DELAY, WHY))
    assert rows["F1"] == {"type": "Delay", "flight_id": "F1", "minutes": 30, "why": "unknown"}


async def test_a_field_can_be_dropped(tmp_path: Path) -> None:
    await written(tmp_path / "log", edition(DELAY, WHY), FIRST)
    assert (await started(tmp_path / "log", edition(DELAY)))["F1"] == {
        "type": "Delay",
        "flight_id": "F1",
        "minutes": 30,
    }


async def test_a_renamed_field_says_what_it_was_called(tmp_path: Path) -> None:
    await written(tmp_path / "log", edition(DELAY), FIRST)
    rows = await started(tmp_path / "log", edition(("late", int, field(name="minutes"))))
    assert rows["F1"]["minutes"] == 30


async def test_a_type_may_let_in_more(tmp_path: Path) -> None:
    await written(tmp_path / "log", edition(DELAY), FIRST)
    assert (await started(tmp_path / "log", edition(("minutes", int | None))))["F1"]["minutes"] == 30


CHANGES: dict[str, tuple[App, App, str]] = {
    "a field that events do not have": (
        edition(DELAY),
        edition(DELAY, ("why", str)),
        r"`Delay` in (stream|table) `delays` needs `why`, which events in the log may not have. Give it a default.",
    ),
    "a default taken away": (
        edition(DELAY, WHY),
        edition(DELAY, ("why", str)),
        "needs `why`, which events in the log may not have. Give it a default.",
    ),
    "what may be a rename": (
        edition(DELAY),
        edition(("late", int, 0)),
        r"has lost `minutes` and gained `late`\. Where a field was renamed, say so: late: … = msgspec\.field\(name=",
    ),
    "another type": (
        edition(DELAY),
        edition(("minutes", str)),
        "`minutes` of `Delay` in stream `delays` was int and is str now, which does not let in what the log may hold",
    ),
    "a narrower type": (edition(("minutes", int | None)), edition(DELAY), "was int or none and is int now"),
    "another tag": (edition(DELAY), edition(DELAY, tag="Late"), 'where it was renamed, keep its tag: tag="Delay"'),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_refused_is(tmp_path: Path, change: str) -> None:
    before, after, why = CHANGES[change]
    await written(tmp_path / "log", before, FIRST)
    with pytest.raises(DeclarationError, match=why):
        Host(after, tmp_path / "log")
    assert "F1" in await started(tmp_path / "log", before)  # nothing was lost by trying


async def test_what_was_dropped_is_not_forgotten(tmp_path: Path) -> None:
    await written(tmp_path / "log", edition(DELAY, WHY), FIRST)
    await started(tmp_path / "log", edition(DELAY))
    with pytest.raises(DeclarationError, match="`why` of `Delay` in stream `delays` was str and is int now"):
        Host(edition(DELAY, ("why", int, 0)), tmp_path / "log")
    await started(tmp_path / "log", edition(DELAY, WHY))


async def test_a_field_can_be_replaced_in_two_steps(tmp_path: Path) -> None:
    await written(tmp_path / "log", edition(DELAY, WHY), FIRST)
    await started(tmp_path / "log", edition(DELAY))
    rows = await started(tmp_path / "log", edition(DELAY, ("reason", str, "none")))
    assert rows["F1"]["reason"] == "none"


async def test_records_within_records_are_checked_too(tmp_path: Path) -> None:
    def nested(*fields: tuple[Any, ...]) -> App:
        place = a_record("Place", ("gate", str), *fields)
        return edition(("place", list[place]))

    await written(tmp_path / "log", nested(), b'{"type":"Delay","flight_id":"F1","place":[{"gate":"A"}]}')
    with pytest.raises(DeclarationError, match="`Place` in stream `delays` needs `row`"):
        Host(nested(("row", int)), tmp_path / "log")
