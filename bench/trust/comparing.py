"""Comparing: each system does each case several times, in turn with the others; what came of it is put into words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import msgspec

from bench.peers.processes import Failed
from bench.peers.systems import System
from bench.trust.scenarios import Case
from bench.trust.trial import Trial

__all__ = ["Cell", "Total", "compared", "words"]


class Cell(msgspec.Struct, kw_only=True):
    """What one system made of one case: a trial for each run, and why others failed."""

    case: Case
    system: str
    trials: list[Trial] = []
    problems: list[str] = []

    def text(self) -> str:
        """In words; where runs differ, each outcome with how often it came."""
        said = Counter([*map(words, self.trials), *self.problems])
        if len(said) == 1:
            return next(iter(said))
        runs = said.total()
        return "; ".join(f"{times} of {runs}: {one}" for one, times in said.most_common()) or "not run"


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """All that one system did, counted."""

    runs: int
    right: int
    twice: int
    stale: int
    left: int
    asked: int
    again: int
    unused: int
    version: str

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Total:
        trials = [trial for cell in cells for trial in cell.trials]
        return cls(
            runs=len(trials),
            right=sum(trial.right for trial in trials),
            twice=sum(len(trial.booked) > 1 for trial in trials),
            stale=sum(any(price != costs for price, costs in trial.booked) for trial in trials),
            left=sum(trial.left for trial in trials),
            asked=sum(trial.asked for trial in trials),
            again=sum(trial.again for trial in trials),
            unused=sum(trial.closed for trial in trials),
            version=trials[0].version if trials else "",
        )


def words(trial: Trial) -> str:
    """A trial in a few words: what was ordered, at which price, and how often the model was asked."""
    orders = ", ".join(
        f"at {price}" if price == costs else f"**at {price}, when it cost {costs}**" for price, costs in trial.booked
    )
    counted = "1 order" if len(trial.booked) == 1 else f"**{len(trial.booked)} orders**"
    said = [f"{counted} {orders}".rstrip()]
    said.append(f"asked {trial.asked}" + (f" ({trial.closed} cut off)" if trial.closed else ""))
    if trial.left:
        said.append("left to a person")
    return ", ".join(said)


def compared(
    cases: Sequence[Case],
    systems: Sequence[System],
    missing: Mapping[str, str],
    runs: int,
    jobs: int,
    do: Callable[[Case, System], Trial | Failed],
) -> list[Cell]:
    """Lets each system do each case `runs` times, `jobs` at a time, beginning with another system each time.

    `missing` says of systems that cannot be run why.
    """
    cells = {(case, system.name): Cell(case=case, system=system.name) for case in cases for system in systems}
    able = [system for system in systems if system.name not in missing]
    for (_, name), cell in cells.items():
        if name in missing:
            cell.problems.append(missing[name])
    shifts = count()
    work: list[tuple[Case, System]] = []
    for _ in range(runs):
        for case in cases:
            shift = next(shifts) % len(able) if able else 0
            work += [(case, system) for system in [*able[shift:], *able[:shift]]]
    with ThreadPoolExecutor(jobs) as pool:
        for (case, system), found in zip(work, pool.map(do, *zip(*work, strict=True)), strict=True):
            cell = cells[case, system.name]
            if isinstance(found, Failed):
                cell.problems.append(f"failed: {found.why}")
            else:
                cell.trials.append(found)
    return list(cells.values())
