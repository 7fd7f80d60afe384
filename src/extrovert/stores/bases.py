"""Bases: snapshots that are kept while the log since then is, each in a file of its own beside the log."""

from __future__ import annotations

from pathlib import Path

from extrovert.core.ports import Base
from extrovert.stores.snapshots import SnapshotFile

__all__ = ["Bases"]


class Bases:
    """The bases in a directory (None: in memory): `base-OFFSET-TIME.sqlite`."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self._memory: dict[Base, SnapshotFile] = {}

    def keep(self, snapshot: SnapshotFile, at_us: int) -> None:
        """Copies a snapshot. A copy that was not finished has another name, and is written over by the next one."""
        found = snapshot.load()
        if found is None:
            return
        base = Base(found[0], at_us)
        if self.directory is None:
            self._memory[base] = SnapshotFile(None)
            snapshot.copy_to(self._memory[base])
            return
        unfinished = self.directory / "base-unfinished.sqlite"
        _unlink(unfinished)
        copy = SnapshotFile(unfinished)
        snapshot.copy_to(copy)
        copy.close()
        unfinished.rename(self._path(base))

    def all(self) -> list[Base]:
        """Those that there are, oldest first."""
        if self.directory is None:
            return sorted(self._memory)
        names = [path.stem.split("-")[1:] for path in self.directory.glob("base-*-*.sqlite")]
        return sorted(Base(int(offset), int(at_us)) for offset, at_us in names)

    def open(self, base: Base) -> SnapshotFile:
        """One of them."""
        if self.directory is not None:
            return SnapshotFile(self._path(base))
        copy = SnapshotFile(None)
        self._memory[base].copy_to(copy)
        return copy

    def drop(self, base: Base) -> None:
        """Takes one away."""
        if self.directory is not None:
            _unlink(self._path(base))
        else:
            self._memory.pop(base).close()

    def _path(self, base: Base) -> Path:
        assert self.directory is not None
        return self.directory / f"base-{base.offset}-{base.at_us}.sqlite"


def _unlink(path: Path) -> None:
    for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        name.unlink(missing_ok=True)
