"""An engine on a file, in virtual time, that can be stopped dead and started again."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from extrovert import App, Record, Stream, Table
from extrovert.core.ids import canonical
from extrovert.core.log import Body, Dead, Decided, Ended, Entry
from extrovert.core.time import span_us, to_us
from extrovert.engine.calls import Answerer
from extrovert.engine.clock import VirtualClock
from extrovert.engine.declared import Declared
from extrovert.engine.hosting import hosted
from extrovert.engine.intake import Report
from extrovert.engine.loop import Engine, Settings
from extrovert.stores.sqlite import SqliteStore
from extrovert.testing.world import START
from extrovert.turns.fold import Fold

__all__ = ["Host", "Rule", "body", "replayed", "serving", "until"]

_BODY: msgspec.json.Decoder[Body] = msgspec.json.Decoder(Body)


class Rule:
    """Answers as a function of what is asked, after a time that may be one too; keeps what was `asked`."""

    def __init__(self, answer: Callable[[Any], Any] | Record | int, thinks: timedelta | float = 0) -> None:
        self._answer = answer
        self._thinks_us = span_us(thinks)
        self.asked: list[Any] = []

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        return self._thinks_us

    def answer(self, request: Any) -> msgspec.Raw:
        self.asked.append(request.about)
        answer = self._answer(request.about) if callable(self._answer) else self._answer
        return msgspec.Raw(canonical(answer))


class Host:
    """Runs `app` on the log at `path`. `engine` is the engine of the present life; effects are really performed."""

    def __init__(
        self, app: App, path: Path | None, answerers: Mapping[str, Answerer] | None = None, **settings: Any
    ) -> None:
        self.declared = _answering(app, answerers)
        self.path = path
        self.settings = Settings(**settings)
        self.begin()

    def begin(self, at_us: int = 0) -> None:
        """A new life, from where the log ends, or at a later time."""
        self.store = SqliteStore(self.path)
        weakref.finalize(self, self.store.close)
        self.clock = VirtualClock(max(to_us(START), at_us))
        self.engine = Engine(self.declared, self.store, self.clock, self.settings)
        self.engine.start()

    @property
    def fold(self) -> Fold:
        return self.engine.shard.fold

    def hand_in(self, to: Table[Any, Any] | Stream[Any], *records: Any) -> Report:
        self.engine.shard.advance(self.clock.now_us())
        name = to.stream if isinstance(to, Table) else to.name
        return self.engine.intake.lines(name, b"\n".join(canonical(record) for record in records))

    async def send(self, to: Table[Any, Any] | Stream[Any], *records: Any) -> None:
        """Hands records in and lets time pass until nothing is due."""
        self.hand_in(to, *records)
        await self.settle()

    async def settle(self) -> None:
        await self.engine.run(until="idle")

    async def advance(self, seconds: float) -> None:
        """Lets exactly so many seconds pass."""
        await self.engine.run(until=self.clock.now_us() + span_us(seconds))

    def flush(self) -> None:
        """Makes all durable that has happened."""
        self.engine.writing.flush()

    def kill(self) -> None:
        """Ends this life at once: what is not durable is lost."""
        self.store.close()

    async def stop(self) -> None:
        """Ends this life cleanly."""
        await self.engine.close()
        self.store.close()

    def crash(self, away: float = 0) -> None:
        """Ends this life at once, and begins the next one, `away` seconds later."""
        now_us = self.clock.now_us()
        self.kill()
        self.begin(now_us + span_us(away) if away else 0)

    def entries(self) -> list[Entry]:
        self.flush()
        return list(self.store.entries())

    def bodies(self, *kinds: type[Any]) -> list[Any]:
        """The log's bodies, or those of some kinds."""
        found = [body(entry) for entry in self.entries()]
        return [one for one in found if not kinds or isinstance(one, kinds)]

    def decisions(self) -> list[Decided]:
        return self.bodies(Decided)

    def outcomes(self) -> list[str]:
        """How turns ended that decided nothing."""
        return [ended.outcome for ended in self.bodies(Ended)]

    def dead_letters(self) -> list[Dead]:
        return self.bodies(Dead)

    def row(self, table: Table[Any, Any], key: Any) -> Any:
        return self.fold.context.tables[table.name].rows.get(key)


def _answering(app: App, answerers: Mapping[str, Answerer] | None) -> Declared:
    """The app, with what answers beside or instead of its policies."""
    declared = app.declared()

    def both(seed: int) -> dict[str, Answerer]:
        return {**declared.answerers(seed), **(answerers or {})}

    return msgspec.structs.replace(declared, answerers=both)


def body(entry: Entry) -> Any:
    """What an entry of the log says."""
    return _BODY.decode(entry.body)


def replayed(host: Host) -> Fold:
    """The state as the whole log tells it, without a snapshot, at the time of the live engine."""
    fold = host.declared.fold()
    for entry in host.entries():
        fold.replay(entry)
    fold.context.clock_is(host.fold.context.expiry.now_us)
    return fold


@asynccontextmanager
async def serving(app: App, data: Path, answerers: Mapping[str, Answerer] | None = None) -> AsyncGenerator[Engine]:
    """An engine in real time on the directory `data`, which runs beside the block."""
    async with hosted(_answering(app, answerers), data) as engine:
        yield engine


async def until(condition: Callable[[], object]) -> None:
    """Lets the loop go round until `condition` holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)
