"""A turn asks a person, and acts on what is true when the answer comes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from extrovert import App, Approval, DeclarationError, Record, Turn
from extrovert.core.log import Answered, Decided
from extrovert.engine.approving import decide, pending_approvals
from extrovert.testing import World
from tests.hosts import Host, replayed
from tests.picture import picture


class Claim(Record):
    claim_id: str
    euros: int


class Refund(Record):
    claim_id: str
    euros: int


class Paid(Record):
    claim_id: str
    euros: int
    by: str


app = App("refunds")
claims = app.table("claims", Claim, key=Claim.claim_id)
paid = app.table("paid", Paid, key=Paid.claim_id)


@app.agent(wakes_on=claims)
async def refund(turn: Turn, claim: Claim) -> None:
    what = Refund(claim.claim_id, claim.euros)
    answer = await turn.approval(what, who="finance", until=turn.now() + timedelta(days=1), otherwise=claim.euros < 10)
    if answer:
        turn.put(paid, Paid(claim.claim_id, claim.euros, answer.by))


two = App("two")
cases = two.table("cases", Claim, key=Claim.claim_id)
done = two.table("done", Claim, key=Claim.claim_id)


@two.agent(wakes_on=cases)
async def both(turn: Turn, case: Claim) -> None:
    one, other = await turn.gather(turn.approval("one?", who="ann"), turn.approval("other?", who="bob"))
    if one and other:
        turn.put(done, case)


async def test_what_exactly_is_asked_and_the_answer_decides(world: World) -> None:
    await world.send(claims, Claim("c-1", 50), Claim("c-2", 70))
    waiting = world.approvals()
    assert [(one.agent, one.key, bytes(one.what), one.who) for one in waiting] == [
        ("refund", "c-1", b'{"claim_id":"c-1","euros":50}', "finance"),
        ("refund", "c-2", b'{"claim_id":"c-2","euros":70}', "finance"),
    ]
    await world.approve("refund:c-1", by="ann")
    await world.approve(waiting[1].id, granted=False, by="ann", note="too late")
    assert paid["c-1"] == Paid("c-1", 50, "ann")
    assert paid.get("c-2") is None
    assert world.approvals() == []


@pytest.mark.parametrize(("euros", "otherwise"), [(5, True), (50, False)])
async def test_where_nobody_answers_in_time_it_is_as_declared(world: World, euros: int, otherwise: bool) -> None:
    await world.send(claims, Claim("c-1", euros))
    await world.advance(timedelta(hours=23))
    assert paid.get("c-1") is None
    await world.advance(timedelta(hours=2))
    assert paid.get("c-1") == (Paid("c-1", euros, "") if otherwise else None)


async def test_what_is_not_asked_any_more_cannot_be_approved(world: World) -> None:
    """The claim changes while a person thinks: that is another question, and the old one goes."""
    await world.send(claims, Claim("c-1", 50))
    (old,) = world.approvals()
    await world.send(claims, Claim("c-1", 5_000))
    (new,) = world.approvals()
    assert old.id != new.id
    with pytest.raises(DeclarationError, match="Nobody waits for an approval of"):
        await world.approve(old.id)
    await world.approve(new.id)
    assert paid["c-1"].euros == 5_000


async def test_a_change_that_changes_nothing_in_the_question_disturbs_nobody(world: World) -> None:
    await world.send(claims, Claim("c-1", 50))
    (old,) = world.approvals()
    await world.send(claims, Claim("c-1", 60))
    await world.send(claims, Claim("c-1", 50))
    assert world.approvals()[0].id == old.id


async def test_it_waits_over_restarts_and_remembers_who_said_what(tmp_path: Path) -> None:
    host = Host(app, tmp_path / "log")
    await host.engine.run(until="quiet")
    host.hand_in(claims, Claim("c-1", 50))
    await host.engine.run(until="quiet")
    for snapshot in (False, True):
        if snapshot:
            host.engine.keep_snapshot()
        host.flush()
        host.crash()
        await host.engine.run(until="quiet")
    decide(host.engine, "refund:c-1", Approval(True, "ann"))
    await host.engine.run(until="quiet")
    assert host.row(paid, "c-1") == Paid("c-1", 50, "ann")
    assert len(host.bodies(Answered)) == 1
    assert picture(host.fold) == picture(replayed(host))


async def test_an_engine_that_does_not_act_remembers_the_answer(tmp_path: Path) -> None:
    """As a command does, where the app does not run."""
    host = Host(app, tmp_path / "log")
    host.hand_in(claims, Claim("c-1", 50))
    await host.engine.run(until="quiet")
    host.flush()
    host.kill()
    quiet = Host(app, tmp_path / "log", acting=False)
    decide(quiet.engine, "refund:c-1", Approval(True, "ann"))
    assert pending_approvals(quiet.fold) == []
    assert quiet.row(paid, "c-1") is None
    quiet.flush()
    quiet.kill()
    host.begin()
    await host.engine.run(until="quiet")
    assert host.row(paid, "c-1") == Paid("c-1", 50, "ann")


async def test_several_may_be_asked_at_once(tmp_path: Path) -> None:
    host = Host(two, tmp_path / "log")
    host.hand_in(cases, Claim("c-1", 50))
    await host.engine.run(until="quiet")
    with pytest.raises(DeclarationError, match="waits for several approvals; name one: `both:c-1@1/"):
        decide(host.engine, "both:c-1", Approval(True))
    for pending in pending_approvals(host.fold):
        assert host.bodies(Decided) == []
        decide(host.engine, pending.id, Approval(True, pending.who))
        await host.engine.run(until="quiet")
    assert host.row(done, "c-1") is not None


async def test_turns_that_wait_for_persons_do_not_keep_others_from_beginning(world: World) -> None:
    at_a_time = 100  # an agent's `concurrency` unless it says otherwise
    await world.send(claims, *(Claim(f"c-{number:03}", 50) for number in range(at_a_time + 20)))
    assert len(world.approvals()) == at_a_time + 20

    await world.approve("refund:c-119", by="ann")
    assert paid["c-119"].by == "ann"
