"""`extrovert inspect`: how an engine is doing, whether it runs or not."""

from __future__ import annotations

from tests.e2e.command import Home, flights, records

CANCELLED = records({"flight_id": "F1", "departs_at": "2026-01-01T12:00:00Z", "cancelled": True})


def test_a_stopped_app_tells_what_it_holds_and_what_waits(home: Home) -> None:
    home("send", "flights", "-", "--app", "airline.py", given=flights("F1", "F2") + "bad\n")
    home("send", "bookings", "-", given=records({"booking_id": "B1", "flight_id": "F1"}))
    home("send", "flights", "-", given=CANCELLED)
    (found,) = home("inspect", "--json").documents
    assert (found["engine"]["app"], found["engine"]["pid"], found["engine"]["offset"]) == ("airline", None, 5)
    assert found["engine"]["durable"] == 5
    rows = {one["table"]: one["rows"] for one in found["tables"]}
    assert rows == {"flights": 2, "bookings": 1, "gates": 0}
    assert all(one["bytes"] > 0 for one in [*found["tables"], *found["views"]])
    assert [(one["view"], one["values"], one["quarantined"]) for one in found["views"]] == [("stranded", 1, 0)]
    agents = {one["agent"]: one["due"] for one in found["agents"]}
    assert agents == {"rebook": 1, "answer": 0}
    log = found["log"]
    assert (log["events"], log["recently"], log["dead_letters"]) == (4, {"dead": 1, "events": 3}, 1)
    assert log["snapshot_offset"] is None
    told = home("inspect").out
    assert told.startswith("airline is not running, at offset 5 (all durable)\n")
    assert "1 dead letters wait: extrovert dead-letters\n" in told
    assert "4 events (0.1 a second); entries: dead 1, events 3\n" in told


def test_a_running_app_tells_of_its_process_and_of_its_snapshot(home: Home) -> None:
    with home.running() as run:
        home("send", "flights", "-", given=flights("F1", "F2"))
        (found,) = home("inspect", "--json").documents
        assert found["engine"]["pid"] == run.process.pid
        assert found["log"]["events"] == 2
        assert found["engine"]["resident_bytes"] is None or found["engine"]["resident_bytes"] > 1_000_000
        assert home("inspect").out.startswith(f"airline runs (process {run.process.pid}), at offset 2 (all durable)")
        assert run.end().code == 0
    (found,) = home("inspect", "--json").documents
    assert found["log"]["snapshot_offset"] == 2
    assert "0 offsets since" in home("inspect").out
