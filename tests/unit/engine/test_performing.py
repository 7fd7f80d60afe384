"""Performing: two steps, each after what is before it is durable and, in virtual time, some time old."""

from __future__ import annotations

import msgspec

from extrovert import App, Record, Turn
from extrovert.core.log import Decided, EffectMoved, Intent, Wake
from extrovert.engine.performing import Performing
from extrovert.engine.shard import Options, Shard


class Row(Record):
    key: str


app = App("app")
rows = app.table("rows", Row, key=Row.key)


@app.effect
async def send(text: str) -> str:
    return text.upper()


@app.agent(wakes_on=rows)
async def agent(turn: Turn, row: Row) -> None: ...


def performing(window_us: int = 0) -> tuple[Shard, Performing]:
    declared = app.declared()
    shard = Shard(declared.fold(), Options())
    wake = Wake("rows", 1, 0)
    body = Decided("agent:a@1", "agent", "a", wake, 1, "woken", [], effects=[Intent(0, "send", msgspec.Raw(b'["x"]'))])
    shard.log(body, lambda offset: shard.fold.decided(body, offset, shard.now_us))
    made = Performing(shard, {effect.name: effect for effect in declared.effects}, window_us)
    made.take_intents()
    return shard, made


def test_an_intent_waits_until_it_is_durable() -> None:
    shard, effects = performing()
    assert not effects.idle
    assert effects.wants_durable(0) == 1
    effects.mark(0, durable=0)
    assert effects.ready(0, durable=0) == []
    effects.mark(0, durable=1)
    assert [pending.state for pending in shard.fold.outbox.pending.values()] == ["performing"]
    assert effects.wants_durable(0) == 2
    assert effects.ready(0, durable=1) == []
    assert [pending.key for pending in effects.ready(0, durable=2)] == ["agent:a@1/0"]


def test_each_step_waits_its_time() -> None:
    _, effects = performing(window_us=100)
    assert effects.next_us() == 100
    assert effects.wants_durable(99) == 0
    effects.mark(99, durable=9)
    assert effects.next_us() == 100
    effects.mark(100, durable=9)
    assert effects.next_us() == 200
    assert effects.ready(199, durable=9) == []
    assert len(effects.ready(200, durable=9)) == 1


async def test_what_came_of_it_is_noted() -> None:
    shard, effects = performing()
    effects.mark(0, durable=1)
    (pending,) = effects.ready(0, durable=2)
    move = await effects.perform(pending)
    assert move == EffectMoved("agent:a@1/0", "settled", msgspec.Raw(b'"X"'))
    effects.settle([move])
    assert effects.idle
    assert shard.fold.outbox.pending == {}
