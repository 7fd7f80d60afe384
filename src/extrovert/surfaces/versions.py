"""Versions: plays those that a backtest names, here or, where the code is another, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from extrovert.core.errors import DeclarationError, ExtrovertError
from extrovert.core.record import Record
from extrovert.core.time import to_us
from extrovert.engine.backtest import Backtest, OnMiss
from extrovert.engine.candidates import candidate
from extrovert.engine.comparing import Compared, Totals
from extrovert.stores.sqlite import SqliteStore
from extrovert.surfaces.apps import Place, log_of, reference

__all__ = ["Asked", "played", "played_elsewhere"]


class Asked(Record, kw_only=True):
    """What is to be played again, in the words of the command."""

    agent: str
    since: str | None
    until: str | None
    limit: int | None
    on_miss: OnMiss
    seed: int


async def played(
    place: Place, asked: Asked, policies: Sequence[str], models: Sequence[str], prompt: str | None
) -> list[Compared]:
    """Plays the app with each of these policies and models in turn, or, with neither, as it is."""
    declared = place.reference().load().declared()

    found = [candidate(declared, asked.agent, policy=one, prompt=prompt, seed=asked.seed) for one in policies]
    found += [candidate(declared, asked.agent, model=one, prompt=prompt, seed=asked.seed) for one in models]
    found = found or [candidate(declared, asked.agent, prompt=prompt, seed=asked.seed)]
    store = SqliteStore(log_of(place.data), read_only=True)
    try:
        backtest = Backtest(
            declared,
            store,
            found,
            since_us=_moment("--since", asked.since),
            until_us=_moment("--until", asked.until),
            limit=asked.limit,
            on_miss=asked.on_miss,
            seed=asked.seed,
        )
        return await backtest.run()
    finally:
        store.close()


def played_elsewhere(place: Place, asked: Asked, file: str) -> list[Compared]:
    """Plays the app in `file`. Its modules may have the names of those here, so that it has a process of its own.

    Raises `ExtrovertError` where that fails; it has then said why.
    """
    command = [sys.executable, "-m", "extrovert", "backtest", str(reference(file)), "--data", str(place.data), "--json"]
    for name, value in msgspec.structs.asdict(asked).items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603 -- our own command
    if done.returncode != 0:
        raise ExtrovertError(f"The version in {file} could not be played; why is said above.")
    found = [msgspec.json.decode(line, type=Compared | Totals) for line in done.stdout.splitlines()]
    return [one.but(version=file) for one in found if isinstance(one, Compared)]


def _moment(option: str, text: str | None) -> int | None:
    """A time in UTC, as microseconds. Raises `DeclarationError` for what is none."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise DeclarationError(f"{option} {text}: that is no time such as 2026-03-01 or 2026-03-01T09:30.") from error
    return to_us(when if when.tzinfo is not None else when.replace(tzinfo=UTC))
