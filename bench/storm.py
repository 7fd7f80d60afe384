"""The storm: what share of the model's calls joining and remembering saves when turns are run again.

The demo as `extrovert demo storm` runs it, live, in virtual time, audited at its end. Of the asks of runs that began
because a fact had changed, those are saved that found their answer or joined a call in flight; a system that begins
anew sends all of them. What a turn finds again after its answer has come is not counted: nobody asks that twice.
"""

from __future__ import annotations

import asyncio
import datetime
import resource
import tempfile
from pathlib import Path

import msgspec

from bench.measuring import Figure, Scale, expect
from extrovert.core.log import Attempted, Decided
from extrovert.demos.storm.run import run
from extrovert.demos.storm.summary import Audit
from extrovert.demos.storm.worker import Progress, Spec
from extrovert.engine.hosting import LOG
from extrovert.stores.sqlite import SqliteStore

__all__ = ["measure"]

STORM, DAYS = datetime.date(2013, 2, 8), 2
CALM = datetime.date(2013, 2, 2)
SEED = 1


def measure(scale: Scale) -> list[Figure]:
    """Calls that were sent, and that were saved; one run, as it is the same each time. A calm day when little is to be
    done."""
    storm = scale.share == 1.0
    with tempfile.TemporaryDirectory() as data:
        spec = Spec(data=data, date=STORM if storm else CALM, days=DAYS if storm else 1, seed=SEED)
        before = _children_s()
        found, _ = asyncio.run(run("live", spec, _watch))
        took = _children_s() - before
        sent, again, saved, cancelled = _calls(Path(data))
    expect("the audit", found.audit, Audit(*[0] * len(Audit.__struct_fields__)))
    expect("calls of the summary", (found.asks, found.asks_saved), (sent, saved))
    return [
        _figure(f"{found.decisions:,} decisions, {found.reruns:,} re-runs: calls sent", "calls", sent),
        _figure("of these, sent by re-runs", "calls", again),
        _figure("of these, cancelled", "calls", cancelled),
        _figure("calls that re-runs did not send", "calls", saved),
        _figure("share of the re-runs' calls that was saved", "%", 100 * saved / max(1, saved + again)),
        _figure("share of all calls that was saved", "%", 100 * saved / max(1, saved + sent)),
        _figure("processor time, with summary and audit", "s", took),
    ]


def _calls(data: Path) -> tuple[int, int, int, int]:
    """Of the log: calls sent, those of them that re-runs sent, those that re-runs did not send, and cancelled ones."""
    sent = again = saved = cancelled = 0
    store = SqliteStore(data / LOG, read_only=True)
    for entry in store.entries():
        if entry.kind == "attempted":
            body = msgspec.json.decode(entry.body, type=Attempted)
            asks = sum(ask.kind == "ask" for ask in body.asks)
            sent += asks
            again += asks if body.changed else 0
            cancelled += len(body.cancelled)
            saved += body.saved
        elif entry.kind == "decided":
            saved += msgspec.json.decode(entry.body, type=Decided).saved
    store.close()
    return sent, again, saved, cancelled


def _figure(what: str, unit: str, value: float) -> Figure:
    return Figure(bench="storm", what=what, unit=unit, runs=[value])


def _watch(name: str, progress: Progress) -> None:
    """Nobody watches."""


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
