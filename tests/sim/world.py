"""The world of a plan: a disk that tears, a client that sends again, models, a target, persons, and the lives of an
engine among them, which may be cut off and come back when another one is at work."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn
from zlib import crc32

import msgspec

from extrovert import PermanentError, TransientError
from extrovert.core.errors import AlreadyRunning, ExtrovertError
from extrovert.core.log import Entry
from extrovert.core.ports import SavedPlace
from extrovert.engine.approving import decide, pending_approvals
from extrovert.engine.calls import Answerer
from extrovert.engine.clock import VirtualClock
from extrovert.engine.loop import Engine, Settings
from extrovert.engine.recovery import recover
from extrovert.engine.settling import settle
from extrovert.stores.sqlite import SqliteStore
from extrovert.turns.request import Request
from extrovert.turns.waits import Approval
from tests.picture import picture
from tests.sim.invariants import Auditor, Fault
from tests.sim.plan import BEGIN_US, Happening, Plan
from tests.sim.program import Cell, app_of
from tests.sim.target import Target

__all__ = ["CutOff", "Disk", "PowerCut", "World", "faults_of"]

THINKS_MS = [0, 2, 7, 40, 300, 1_300]
LATE_US, HANGS_US = 2_500_000, 40_000_000
AWAY_US = 300_000
MOST_INSTANTS = 6_000
HANGS_S = 60
LOG = "log.sqlite"


class PowerCut(BaseException):
    """The engine's process ends here."""


class CutOff(BaseException):
    """The engine's process stands still, or cannot be reached; another one takes its place."""


class Power:
    """Says what goes wrong each time that a point is passed; nothing any more when it is `off`."""

    def __init__(self, plan: Plan) -> None:
        self._faults = {(fault.point, fault.nth): fault.what for fault in plan.faults}
        self._passed: Counter[str] = Counter()
        self.off = False
        self.fired: list[str] = []

    def at(self, point: str) -> str:
        self._passed[point] += 1
        found = "" if self.off else self._faults.get((point, self._passed[point]), "")
        if found:
            self.fired.append(f"{point}: {found}")
        return found


class Disk(SqliteStore):
    """The real store on a file, under an engine that may die at each write, and leave it torn."""

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


class Model:
    """Answers by what is asked, after a while of engine time that hangs on who asks what; or in a while of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._unanswered: list[asyncio.Future[msgspec.Raw]] = []

    def takes_us(self, agent: str, key: Any, request_hash: str, occurrence: int) -> int:
        draw = crc32(f"{self.world.plan.seed}|{agent}|{key}|{request_hash}|{occurrence}".encode())
        extra_us = {"late": LATE_US, "hangs": HANGS_US, "": 0}[self.world.power.at("think")]
        return THINKS_MS[draw % len(THINKS_MS)] * 1000 + extra_us

    def answer(self, request: Request) -> msgspec.Raw:
        match self.world.power.at("answer"):
            case "dies before":
                self.world.die()
            case "fails":
                raise TransientError("overloaded")
            case "breaks":
                raise PermanentError("no such model")
            case "lies":
                return msgspec.Raw(b'"as you wish"')
            case _:
                return msgspec.Raw(str(crc32(request.hash.encode()) % 1_000).encode())

    async def beside_the_loop(self, request: Request) -> msgspec.Raw:
        return await self._beside_the_loop(lambda: self.answer(request))

    async def read_outside(self, what: str) -> Any:
        """A read of something outside that changes; it fails as a model does."""
        request = Request("call", "outside", f"{what} at {self.world.now_us // 20_000}", int)
        return msgspec.json.decode(await self._beside_the_loop(lambda: self.answer(request)))

    async def _beside_the_loop(self, answer: Callable[[], msgspec.Raw]) -> msgspec.Raw:
        await asyncio.sleep(0)
        try:
            return answer()
        except PowerCut:
            life = _life.get()
            life.dying = True
            life.engine.nudge()
            self._unanswered.append(asyncio.get_running_loop().create_future())
            return await self._unanswered[-1]


class Life:
    """One engine, from its start to its end."""

    def __init__(self, number: int, engine: Engine) -> None:
        self.number = number
        self.engine = engine
        self.instants = 0
        self.dying = False

    async def run(self, until: Any) -> None:
        """Runs the engine; what it begins knows whose life it is."""
        _life.set(self)
        await self.engine.run(until=until)


_life: ContextVar[Life] = ContextVar("life")


class World:
    """A plan, lived. `validate`, `dedup`, `protect` and `disk` are there to leave a protection out."""

    disk: type[Disk] = Disk

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        *,
        validate: bool = True,
        dedup: bool = True,
        protect: Callable[[Engine], None] = lambda engine: None,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.power = Power(plan)
        self.auditor = Auditor(plan)
        self.target = Target(self)
        self.model = Model(self)
        self.trace: list[str] = []
        self.torn_at: int | None = None
        self.cut_off: list[Life] = []
        self._unacknowledged: list[tuple[Happening, int]] = []
        self._settings = Settings(seed=plan.seed, validate=validate)
        self._protect = protect
        self._lives = 0
        self.now_us = BEGIN_US
        declared = app_of(plan, self.target, dedup=dedup).declared()

        def answerers(seed: int) -> dict[str, Answerer]:
            return {"policy:timed": self.model, "policy:awaited": self.model.beside_the_loop}

        self._declared = msgspec.structs.replace(declared, answerers=answerers)
        self.acting = self._begin()

    def note(self, what: str) -> None:
        """Notes something for whoever reads how it came."""
        self.trace.append(f"{(self.now_us - BEGIN_US) / 1000:9.1f} ms  life {self._lives}  {what}")

    def wrote(self, entries: Sequence[Entry]) -> None:
        """These entries are durable."""
        for entry in entries:
            self.note(f"offset {entry.offset}: {entry.body.decode()[:300]}")
        self.auditor.wrote(entries)

    def die(self) -> NoReturn:
        self.note(f"dies ({self.power.fired[-1]})")
        raise PowerCut

    # ---- lives

    def _begin(self) -> Life:
        """The next engine, on what is on the disk."""
        while True:
            self._lives += 1
            if self.torn_at is not None:
                self._tear(self.torn_at)
            try:
                return self._born()
            except PowerCut:
                continue

    def _born(self) -> Life:
        disk = self.disk(self, self.folder)
        self.auditor.reopened(SqliteStore.entries(disk, self.auditor.end), disk.end())
        clock = VirtualClock(self.now_us + AWAY_US if self.plan.seed % 2 and self._lives > 1 else BEGIN_US)
        engine = Engine(self._declared, disk, clock, self._settings)
        life = self.acting = Life(self._lives, engine)
        self._protect(engine)
        engine.start()
        engine.at_instant = lambda: self._instant(life)
        self.note("begins")
        again, self._unacknowledged = [one for one, _ in self._unacknowledged], []
        for one in again:
            self._push(one)
        return life

    def _tear(self, at: int) -> None:
        """The machine is off and on again: the write that was under way is on the disk up to some byte, and nobody from
        before is there."""
        self.cut_off.clear()
        self.torn_at = None
        torn = self.folder / f"{self._lives}"
        torn.mkdir()
        for file in self.folder.glob("*.sqlite*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, torn)
        self.folder = torn
        with (torn / f"{LOG}-wal").open("r+b") as wal:
            wal.truncate(at)

    def _instant(self, life: Life) -> None:
        """An instant has come to its end: perhaps so does the engine; and it may be time to write the log."""
        engine = life.engine
        life.instants += 1
        self.now_us = max(self.now_us, engine.clock.now_us())
        if life.dying:
            raise PowerCut
        if life.instants > MOST_INSTANTS:
            self.auditor.wrong("it comes to rest", "the engine has something to do without end")
            raise _Restless
        fault = self.power.at("instant")
        if fault == "dies":
            self.die()
        if fault == "is cut off" and not self.cut_off and life is self.acting:
            self.note("is cut off")
            raise CutOff
        if life.instants % self.plan.flush_every == 0:
            engine.writing.flush()

    async def _until(self, what: Any) -> None:
        """Runs the engine until then, and others in its place where it ends before; all is durable then."""
        while True:
            try:
                await self.acting.run(what)
                if what == "idle":
                    self.acting.engine.writing.flush()
                return
            except CutOff:
                self.cut_off.append(self.acting)
            except PowerCut:
                self.target.arrive()
            except AlreadyRunning as refused:
                self.note(f"is refused: {refused}")
            self.acting = self._begin()

    async def _let_cut_off_go_on(self, at_us: int) -> None:
        """The engine that was cut off goes on until then, unless it is refused."""
        while self.cut_off:
            life = self.acting
            (other,) = self.cut_off
            self.acting = other
            self.note(f"life {other.number} goes on")
            try:
                await other.run(at_us)
                return
            except (PowerCut, AlreadyRunning) as end:
                self.note(f"life {other.number} ends: {end!r}")
                self.cut_off.clear()
            finally:
                self.acting = life
            if self.torn_at is not None:
                self.acting = self._begin()

    # ---- what happens to it

    async def live(self) -> None:
        """The whole plan, and then all that comes of it, with nothing more going wrong."""
        for at_us, what in self._agenda():
            await self._until(at_us)
            await self._let_cut_off_go_on(at_us)
            self.target.arrive()
            await self._happens(what)
            self._acknowledge()
        self.power.off = True
        for _ in range(12):
            await self._until("idle")
            self._acknowledge()
            if not self._person_answers():
                break
        self.cut_off.clear()
        self.auditor.finished(self)
        self._replay_equals_live()

    def _agenda(self) -> list[tuple[int, Any]]:
        """When the client pushes what, when a snapshot is taken, when a person looks."""
        agenda: list[tuple[int, Any]] = []
        at_us = BEGIN_US
        for one in self.plan.happenings:
            at_us += one.after_ms * 1000
            if one.by == "client":
                agenda.append((at_us, one))
        agenda += [(BEGIN_US + ms * 1000, "snapshot") for ms in self.plan.snapshots_ms]
        agenda += [(BEGIN_US + 700_000 * number, "person") for number in range(1, 7)]
        return sorted(agenda, key=lambda one: one[0])

    async def _happens(self, what: Any) -> None:
        try:
            if what == "snapshot":
                self.acting.engine.keep_snapshot()
            elif what == "person":
                self._person_answers()
            else:
                self._push(what)
        except (PowerCut, AlreadyRunning):
            self.acting = self._begin()
            self.target.arrive()

    def _push(self, one: Happening) -> None:
        """The client sends an event; until it is acknowledged it will be sent again."""
        engine = self.acting.engine
        engine.shard.advance(engine.clock.now_us())
        data = Cell(one.key, one.group, one.value or 0, one.id)
        self.note(f"the client pushes {one.id}")
        engine.intake.lines(one.stream, msgspec.json.encode(data), source="client")
        self._unacknowledged.append((one, engine.shard.fold.end - 1))

    def _acknowledge(self) -> None:
        """What is durable is acknowledged."""
        durable = self.acting.engine.writing.durable
        self._unacknowledged = [one for one in self._unacknowledged if one[1] > durable]

    def _person_answers(self) -> bool:
        """A person answers what they are asked, and says of effects whether they happened; whether there was any."""
        engine = self.acting.engine
        engine.shard.advance(engine.clock.now_us())
        asked = pending_approvals(engine.shard.fold)
        for one in asked:
            decide(engine, one.id, Approval(crc32(one.id.encode()) % 3 > 0, "ann"))
        open_ones = [one for one in engine.shard.fold.outbox.pending.values() if one.state == "unknown"]
        unknown = [one.key for one in open_ones if one.retry_at_us is None]
        for key in unknown:
            settle(engine, key, "done" if self.target.done[key] else "not-done", by="ann")
        return bool(asked or unknown)

    def _replay_equals_live(self) -> None:
        live = self.acting.engine.shard.fold
        fold, _ = recover(self._declared, self.acting.engine.store)
        fold.context.clock_is(live.context.expiry.now_us)
        now, then = picture(live), picture(fold)
        for part in [part for part in now if now[part] != then[part]]:
            self.auditor.wrong("replay equals live", f"{part}: {then[part]} instead of {now[part]}")


class _Restless(Exception):
    """It does not come to rest."""


def lived(plan: Plan, kind: type[World] = World, **options: Any) -> World:
    """A world in which a plan has been lived."""
    memory = Path("/dev/shm")  # its files are torn here, so that nothing has to wait for a disk
    with TemporaryDirectory(prefix="sim", dir=memory if memory.is_dir() else None) as folder:
        world = kind(plan, Path(folder), **options)

        async def live() -> None:
            try:
                async with asyncio.timeout(HANGS_S):
                    await world.live()
            except _Restless:
                pass
            except TimeoutError:
                world.auditor.wrong("it goes on", "it waits for something that does not come")
            except (ExtrovertError, KeyError, AssertionError, StopIteration) as error:
                world.auditor.wrong("it goes on", f"{type(error).__name__}: {error}")

        asyncio.run(live())
        return world


def faults_of(plan: Plan, kind: type[World] = World, **options: Any) -> list[Fault]:
    """What does not hold in the life of a plan."""
    return lived(plan, kind, **options).auditor.faults
