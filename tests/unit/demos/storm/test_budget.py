"""The budget of the storm: where the hour's money is spent, passengers are told by a form; and the auditor sees what is
wrong with that.

Eight messages are asked for in the small storm, of which Ina does not wait for hers where the writer thinks about it.
An hour pays for two here.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.demos.storm.test_auditor import Forgery, run, wrong

from extrovert import Limits
from extrovert.demos.storm import app as storm
from extrovert.demos.storm import budget_auditor
from extrovert.engine.loop import Settings


@pytest.fixture
def forgery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forgery:
    monkeypatch.setattr(storm.writer, "limits", Limits(usd_per_hour="0.004", over="fallback"))
    monkeypatch.setattr(budget_auditor, "BUDGET_MILLS", 4)
    asyncio.run(run(tmp_path, Settings(seed=1)))
    return Forgery(tmp_path)


def by_form(log: Forgery) -> list[str]:
    """What was sent in the words of the form."""
    texts = [json.loads(line)["text"] for line in log.messages()]
    return [text for text in texts if re.match(r"\w+: (REBOOKED|LATE|WAITING)\.", text)]


def test_who_is_told_when_the_hour_is_spent_is_told_by_the_form(forgery: Forgery) -> None:
    found = budget_auditor.audit(forgery.directory)
    assert (found.wrong, found.most_mills) == ([], 4)
    assert (found.written, found.by_form) == (4, 4)
    assert len(by_form(forgery)) == 4
    assert wrong(forgery.directory) == {}


def test_with_money_enough_nobody_is(tmp_path: Path) -> None:
    asyncio.run(run(tmp_path, Settings(seed=1)))
    found = budget_auditor.audit(tmp_path)
    assert (found.written, found.by_form, found.wrong) == (8, 0, [])
    assert by_form(Forgery(tmp_path)) == []


def one_more_was_asked(log: Forgery) -> None:
    """What went to the form went to the writer."""
    offset, body = next(pair for pair in log.entries("admitted") if pair[1]["model"] == "policy:form")
    log.rewrite(offset, body | {"model": "model:writer"})


def one_was_never_let_through(log: Forgery) -> None:
    log.remove(log.entries("admitted")[-1][0])


def another_was_asked(log: Forgery) -> None:
    offset, body = log.entries("admitted")[-1]
    log.rewrite(offset, body | {"model": "model:poet"})


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (one_more_was_asked, "took the hour to $0.006"),
        (one_was_never_let_through, "has an answer to what was never let through"),
        (another_was_asked, "asked model:poet"),
    ],
)
def test_the_auditor_sees_what_is_wrong(fault: Callable[[Forgery], None], told: str, forgery: Forgery) -> None:
    fault(forgery)
    found = budget_auditor.audit(forgery.directory)
    assert any(told in one for one in found.wrong), found.wrong


def test_the_auditor_is_a_program_of_its_own(forgery: Forgery) -> None:
    command = [sys.executable, "-I", budget_auditor.__file__, str(forgery.directory), "--examples", "3"]
    done = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert done == {"written": 4, "by_form": 4, "spent_usd": 0.004, "overspent": 0, "examples": []}
