"""Readings: the event of several benches, as a record of Extrovert. The peers have it in `bench.peers.work`."""

from __future__ import annotations

from datetime import datetime

from extrovert import Record

__all__ = ["Reading", "Short"]


class Reading(Record):
    """An event with all of its ten fields."""

    sensor_id: str
    sequence: int
    taken_at: datetime
    value: int
    site: str
    kind: str
    unit: str
    battery: float
    firmware: str
    ok: bool


class Short(Record):
    """An event of which five fields are kept."""

    sensor_id: str
    sequence: int
    taken_at: datetime
    value: int
    site: str
