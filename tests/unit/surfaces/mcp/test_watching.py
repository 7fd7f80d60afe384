"""What is watched is looked at, and told when it is something else; also after a look that failed half way."""

from __future__ import annotations

import pytest

from extrovert.surfaces.mcp.watching import AT_A_TIME, Watching
from extrovert.surfaces.mcp.wire import Compare, Compared, LookedUp, LookUp, Published

ADDRESSES = [f"a{number}" for number in range(AT_A_TIME + 1)]


class Changing:
    """An engine whose look-ups give all something else from each offset on, and that can be asked so often."""

    every_s = 0.0

    def __init__(self) -> None:
        self.offset = 1
        self.answers = 1_000

    async def published(self) -> Published:
        raise NotImplementedError

    async def look_up(self, asked: LookUp) -> LookedUp:
        raise NotImplementedError

    async def compare(self, asked: Compare) -> Compared:
        if not self.answers:
            raise ConnectionError("it is being started again")
        self.answers -= 1
        if asked.since == self.offset:
            return Compared(self.offset)
        return Compared(self.offset, [str(self.offset)] * len(asked.looked))


async def test_what_changed_before_a_look_that_failed_is_told_by_the_next() -> None:
    told: list[str] = []

    async def tell(address: str) -> None:
        told.append(address)

    watching = Watching(backing := Changing(), tell)
    for address in ADDRESSES:
        await watching.add(address, LookUp(address, {}))
    await watching.look()
    assert told == []

    backing.offset, backing.answers = 2, 1
    with pytest.raises(ConnectionError):
        await watching.look()
    backing.answers = 1_000
    await watching.look()
    assert told == ADDRESSES
