"""The disk: the real store on a real file, under an engine that may die at each write, and leave it torn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from extrovert.core.log import Entry
from extrovert.core.ports import SavedPlace
from extrovert.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from tests.sim.world import World

__all__ = ["Disk", "torn"]

LOG = "log.sqlite"


class Disk(SqliteStore):
    """One engine's handle on the files in `folder`."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        super().__init__(folder / LOG, durability="os")

    def append(self, entries: Sequence[Entry]) -> None:
        world = self.world
        fault = world.power.at("append")
        if fault == "dies before":
            world.die()
        wal = self.folder / f"{LOG}-wal"
        before = wal.stat().st_size
        super().append(entries)
        if fault == "torn":
            kept = crc32(f"{world.plan.seed}|{before}".encode()) % 1_000 / 1_000
            world.torn_at = before + round(kept * (wal.stat().st_size - before))
        if fault:
            world.die()
        world.wrote(entries)

    def entries(self, since: int = 0) -> Iterator[Entry]:
        if self.world.power.at("recover"):
            self.world.die()
        return super().entries(since)

    def save_snapshot(self, offset: int, state: bytes, places: Sequence[SavedPlace]) -> None:
        fault = self.world.power.at("snapshot")
        if fault == "dies before":
            self.world.die()
        super().save_snapshot(offset, state, places)
        if fault:
            self.world.die()


def torn(folder: Path, at: int, number: int) -> Path:
    """The files as they are after the machine was off: the last write is there up to the byte `at`."""
    copy = folder / f"{number}"
    copy.mkdir()
    for file in folder.glob("*.sqlite*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, copy)
    with (copy / f"{LOG}-wal").open("r+b") as wal:
        wal.truncate(at)
    return copy
