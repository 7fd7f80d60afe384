"""The world of a plan: a disk that tears, a client that sends again, models, a target, persons, and the lives of an
engine among them, which may be cut off and come back when another one is at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, cast
from zlib import crc32

import msgspec

from extrovert.core.errors import AlreadyRunning, ExtrovertError
from extrovert.core.log import Entry
from extrovert.engine.approving import decide, pending_approvals
from extrovert.engine.calls import Answerer
from extrovert.engine.clock import Clock, VirtualClock
from extrovert.engine.loop import Engine, Settings
from extrovert.engine.recovery import recover
from extrovert.engine.settling import settle
from extrovert.stores.sqlite import SqliteStore
from extrovert.turns.waits import Approval
from tests.picture import picture
from tests.sim.bounds import Beat
from tests.sim.disk import Disk, torn
from tests.sim.feed import Feed
from tests.sim.invariants import Auditor, Fault
from tests.sim.loop import LoopClock, MadeUpLoop
from tests.sim.model import Model
from tests.sim.plan import BEGIN_US, Happening, Plan
from tests.sim.power import LIFE, CutOff, Life, Power, PowerCut
from tests.sim.program import Cell, app_of
from tests.sim.target import Target

__all__ = ["World", "faults_of", "lived"]

SNAPSHOT_EVERY = 25
AWAY_US, BEHIND_US, CUT_OFF_US = 300_000, 150_000, 50_000
MOST_INSTANTS = 6_000
MOST_ROUNDS = 60
HANGS_S = 1_000_000
"""So much of the loop's time nothing takes."""


class World:
    """A plan, lived. `validate`, `dedup`, `protect` and `disk` are there to leave a protection out."""

    disk: type[Disk] = Disk

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        loop: MadeUpLoop,
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
        self.outside = Model(self)
        self.trace: list[str] = []
        self.torn_at: int | None = None
        self.cut_off: list[Life] = []
        self._unacknowledged: list[tuple[Happening, int]] = []
        every = SNAPSHOT_EVERY if plan.real_time else 200_000
        self._settings = Settings(seed=plan.seed, validate=validate, snapshot_every=every)
        self._protect = protect
        self._lives = 0
        self._loop = loop
        declared = app_of(plan, self.target, Feed(plan), dedup=dedup).declared()
        self._declared = msgspec.structs.replace(declared, answerers=self._answerers)
        self._latest_us = BEGIN_US
        self.acting = Life(0)
        self.acting = self._begin()

    def _answerers(self, seed: int) -> dict[str, Answerer]:
        """What answers by each name: in engine time, or beside the loop; what is cheap, now so, now so."""
        models = {name: Model(self, name) for name in map(self.plan.asked, ("timed", "awaited", "cheap"))}
        beside = ("awaited", "cheap" if self.plan.seed % 2 else "")
        return {n: one.beside_the_loop if n.partition(":")[2] in beside else one for n, one in models.items()}

    @property
    def now_us(self) -> int:
        """The time as it is for the one who looks on."""
        engine = self.acting.engine
        return BEGIN_US if engine is None else max(self._latest_us, engine.clock.now_us())

    @property
    def engine(self) -> Engine:
        assert self.acting.engine is not None
        return self.acting.engine

    def latency_s(self) -> float:
        """How long a request is under way; in virtual time it makes no difference."""
        return self._loop.latency_s()

    def note(self, what: str) -> None:
        """Notes something for whoever reads how it came."""
        self.trace.append(f"{(self.now_us - BEGIN_US) / 1000:9.1f} ms  life {self._lives}  {what}")

    def wrote(self, entries: Sequence[Entry]) -> None:
        """These entries are durable."""
        for entry in entries:
            self.note(f"offset {entry.offset}: {entry.body.decode()[:300]}")
        self.auditor.wrote(entries)

    def die(self) -> NoReturn:
        """Ends the life whose work is being done."""
        self.note(f"life {LIFE.get().number} dies ({self.power.fired[-1]})")
        LIFE.get().die()

    # ---- lives

    def _begin(self) -> Life:
        """The next engine, on what is on the disk."""
        while True:
            self._lives += 1
            if self.torn_at is not None:  # the machine was off: nobody from before is there
                self.cut_off.clear()
                self.folder = torn(self.folder, self.torn_at, self._lives)
                self.torn_at = None
            try:
                return self._born(Life(self._lives))
            except PowerCut:
                continue

    def _clock(self) -> Clock:
        """The clock of the next life: it may be behind the one before, or begin where the log ends."""
        odd = self.plan.seed % 2 and self._lives > 1
        if self.plan.real_time:
            return LoopClock(self._loop, BEHIND_US if odd else 0)
        return VirtualClock(self.now_us + AWAY_US if odd else BEGIN_US)

    def _born(self, life: Life) -> Life:
        LIFE.set(life)
        disk = self.disk(self, self.folder)
        self.auditor.reopened(SqliteStore.entries(disk, self.auditor.end), disk.end())
        engine = life.engine = Engine(self._declared, disk, self._clock(), self._settings)
        self.acting = life
        self._protect(engine)
        engine.start()
        engine.at_instant = lambda: self._instant(life, engine)
        self.note("begins")
        again, self._unacknowledged = [one for one, _ in self._unacknowledged], []
        for one in again:
            self._push(one)
        return life

    def _instant(self, life: Life, engine: Engine) -> None:
        """An instant has come to its end: perhaps so does the engine; and it may be time to write the log."""
        life.check()
        life.instants += 1
        self._latest_us = max(self._latest_us, engine.clock.now_us())
        if life.instants > MOST_INSTANTS:
            self.auditor.wrong("it comes to rest", "the engine has something to do without end")
            raise _Restless
        fault = self.power.at("instant")
        if fault == "dies":
            self.die()
        if fault == "is cut off" and not self.cut_off and life is self.acting:
            self.note("is cut off")
            raise CutOff
        if engine.clock.virtual and life.instants % self.plan.flush_every == 0:
            engine.writing.flush()

    async def _until(self, what: Any) -> None:
        """Runs the engine until then, and others in its place where it ends before; all is durable then."""
        while True:
            try:
                await self.acting.run(what)
                if what == "idle":
                    await self._durable()
                return
            except CutOff:
                self.cut_off.append(self.acting)
            except PowerCut:
                self.target.arrive()
            except AlreadyRunning:
                self.note("is refused by the log")
            self.acting = self._begin()

    async def _durable(self) -> None:
        """Returns when all is on the disk."""
        while self.engine.writing.behind:
            if self.engine.clock.virtual:
                self.engine.writing.flush()
            else:
                await self.acting.run(self.engine.clock.now_us() + 1_000)

    async def _let_cut_off_go_on(self, at_us: int) -> None:
        """The engine that was cut off goes on until then, unless it is refused."""
        while self.cut_off:
            life = self.acting
            (other,) = self.cut_off
            self.acting = other
            self.note(f"life {other.number} goes on")
            try:
                await other.run(max(at_us, self.now_us + CUT_OFF_US))
                return
            except (PowerCut, AlreadyRunning) as end:
                self.note(f"life {other.number} ends: {type(end).__name__}")
                self.cut_off.clear()
            finally:
                self.acting = life
                LIFE.set(life)
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
        for _ in range(MOST_ROUNDS):
            await self._until("idle")
            self._acknowledge()
            if not (self._person_answers() or self._sources_are_heard()):
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
        agenda += [(BEGIN_US + one.ms * 1000, one) for one in self.plan.beats]
        agenda += [(BEGIN_US + 700_000 * number, "person") for number in range(1, 7)]
        return sorted(agenda, key=lambda one: one[0])

    async def _happens(self, what: Any) -> None:
        try:
            if what == "snapshot":
                if not self.engine.clock.virtual:
                    return  # it takes its own, beside the loop
                self.engine.keep_snapshot()
            elif what == "person":
                self._person_answers()
            elif isinstance(what, Beat):
                self._beats(what.stream)
            else:
                self._push(what)
        except (PowerCut, AlreadyRunning):
            self.acting = self._begin()
            self.target.arrive()

    def _push(self, one: Happening) -> None:
        """The client sends an event; until it is acknowledged it will be sent again."""
        engine = self.engine
        engine.shard.advance(engine.clock.now_us())
        data = Cell(one.key, one.group, one.value or 0, one.id)
        self.note(f"the client pushes {one.id}")
        engine.intake.lines(one.stream, msgspec.json.encode(data), source="client")
        self._unacknowledged.append((one, engine.shard.fold.end - 1))

    def _acknowledge(self) -> None:
        """What is durable is acknowledged."""
        durable = self.engine.writing.durable
        self._unacknowledged = [one for one in self._unacknowledged if one[1] > durable]

    def _person_answers(self) -> bool:
        """A person answers what they are asked, and says of effects whether they happened; whether there was any."""
        engine = self.engine
        engine.shard.advance(engine.clock.now_us())
        asked = pending_approvals(engine.shard.fold)
        for one in asked:
            decide(engine, one.id, Approval(crc32(one.id.encode()) % 3 > 0, "ann"))
        open_ones = [one for one in engine.shard.fold.outbox.pending.values() if one.state == "unknown"]
        unknown = [one.key for one in open_ones if one.retry_at_us is None]
        for key in unknown:
            settle(engine, key, "done" if self.target.happened(key) else "not-done", by="ann")
        return bool(asked or unknown)

    def _beats(self, stream: str) -> None:
        """The client says that there is nothing new on a stream."""
        engine = self.engine
        self.note(f"the client says that {stream} has nothing new")
        self.auditor.silence.said[stream].add(engine.clock.now_us())
        engine.heartbeat(next(one for one in self._declared.streams if one.name == stream))

    def _sources_are_heard(self) -> bool:
        """Where turns wait to hear of them, all sources are heard; whether there were any."""
        held = any(turn.silent for turn in self.engine.shard.fold.running.values())
        for stream in ("facts", "notes") if held else ():
            self._beats(stream)
        return held

    def _replay_equals_live(self) -> None:
        live = self.engine.shard.fold
        fold, _ = recover(self._declared, self.engine.store)
        fold.context.clock_is(live.context.expiry.now_us)
        now, then = picture(live), picture(fold)
        for part in [part for part in now if now[part] != then[part]]:
            self.auditor.wrong("replay equals live", f"{part}: {then[part]} instead of {now[part]}")


class _Restless(Exception):
    """It does not come to rest."""


def lived(plan: Plan, kind: type[World] = World, **options: Any) -> World:
    """A world in which a plan has been lived."""
    memory = Path("/dev/shm")  # its files are torn here, so that nothing has to wait for a disk
    with (
        TemporaryDirectory(prefix="sim", dir=memory if memory.is_dir() else None) as folder,
        asyncio.Runner(loop_factory=lambda: MadeUpLoop(plan.seed)) as runner,
    ):
        loop = cast(MadeUpLoop, runner.get_loop())
        loop.set_exception_handler(lambda loop, about: None)  # tasks of the dead are not waited for
        return runner.run(_lived(kind, plan, Path(folder), loop, options))


async def _lived(kind: type[World], plan: Plan, folder: Path, loop: MadeUpLoop, options: dict[str, Any]) -> World:
    world = kind(plan, folder, loop, **options)
    try:
        async with asyncio.timeout(HANGS_S):
            await world.live()
    except _Restless:
        pass
    except TimeoutError:
        world.auditor.wrong("it goes on", "it waits for something that does not come")
    except (ExtrovertError, KeyError, AssertionError, StopIteration) as error:
        world.auditor.wrong("it goes on", f"{type(error).__name__}: {error}")
    return world


def faults_of(plan: Plan, kind: type[World] = World, **options: Any) -> list[Fault]:
    """What does not hold in the life of a plan."""
    return lived(plan, kind, **options).auditor.faults
