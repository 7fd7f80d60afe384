"""Settings: how an engine runs."""

from __future__ import annotations

import msgspec

__all__ = ["Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine runs. `acting=False` takes in and applies, but starts no turn and no effect.

    `virtual_commit_us` is the window of the group commit in virtual time: at its end, the effects that wait for the
    durability of an entry in it go on.
    """

    seed: int = 0
    acting: bool = True
    validate: bool = True
    refresh_us: int | None = None
    snapshot_every: int = 200_000
    virtual_commit_us: int = 100_000
