"""`extrovert approvals`, `approve` and `deny`: a turn asks a person, whether the app runs or not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.command import PATIENCE_S, Home, records

REFUNDS = """
from extrovert import App, Record, Turn

app = App("refunds")


class Claim(Record):
    claim_id: str
    euros: int


claims = app.table("claims", Claim, key=Claim.claim_id)
paid = app.table("paid", Claim, key=Claim.claim_id)


@app.agent(wakes_on=claims)
async def refund(turn: Turn, claim: Claim) -> None:
    if await turn.approval(claim, who="finance"):
        turn.put(paid, claim)
"""


@pytest.fixture
def refunds(home: Home) -> Home:
    (home.path / "airline.py").write_text(REFUNDS)
    return home


def shown(home: Home, least: int, *words: str) -> list[dict[str, Any]]:
    """What a command shows, when it is so much at least."""
    until = time.monotonic() + PATIENCE_S
    while len(found := home(*words, "--json").documents) < least:
        assert time.monotonic() < until, found
    return found


def test_a_person_answers_while_the_app_runs(refunds: Home) -> None:
    home = refunds
    with home.running():
        home("send", "claims", "-", given=records({"claim_id": "c-1", "euros": 50}, {"claim_id": "c-2", "euros": 7}))
        found = shown(home, 2, "approvals")
        assert [(one["agent"], one["key"], one["who"], one["until"]) for one in found] == [
            ("refund", "c-1", "finance", None),
            ("refund", "c-2", "finance", None),
        ]
        assert found[0]["what"] == {"claim_id": "c-1", "euros": 50}
        done = home("approve", "refund:c-1", "--by", "ann")
        assert (done.code, done.out) == (0, 'Approved: refund:c-1@1: {"claim_id":"c-1","euros":50}\n')
        assert home("deny", str(found[1]["id"]), "--note", "too late").out.startswith("Denied: refund:c-2@2")
        assert home("approvals").out == "Nobody waits for an approval.\n"
        assert shown(home, 1, "tables", "paid")[0]["row"] == {"claim_id": "c-1", "euros": 50}
    done = home("approve", "refund:c-9", "--app", "airline.py")
    assert done.code == 2
    assert "Nobody waits for an approval of `refund:c-9`. To see who does: extrovert approvals" in done.err


def test_an_answer_that_is_given_while_the_app_rests_is_remembered(refunds: Home) -> None:
    home = refunds
    with home.running():
        home("send", "claims", "-", given=records({"claim_id": "c-1", "euros": 50}))
        shown(home, 1, "approvals")
    assert home("approve", "refund:c-1", "--app", "airline.py").code == 0
    assert home("approvals", "--app", "airline.py").out == "Nobody waits for an approval.\n"
    with home.running():
        assert shown(home, 1, "tables", "paid")[0]["row"] == {"claim_id": "c-1", "euros": 50}
