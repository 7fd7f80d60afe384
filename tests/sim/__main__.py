"""Lives many seeds, `python -m tests.sim SEEDS [FROM]`, or tells of one, `python -m tests.sim --seed SEED`."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.sim.plan import plan_of
from tests.sim.shrinking import story
from tests.sim.world import faults_of, lived


def tried(seed: int) -> tuple[int, bool]:
    """Whether something is wrong with this seed."""
    return seed, bool(faults_of(plan_of(seed)))


def tell(seed: int) -> int:
    """Prints what happens in the life of a seed; where something is wrong, the smallest that shows it."""
    plan = plan_of(seed)
    if faults_of(plan):
        print(story(plan, faults_of))
        return 1
    world = lived(plan)
    bounds = (*plan.models, *plan.stalls, *plan.beats)
    print(*plan.programs, *plan.happenings, *plan.faults, *bounds, *world.trace, sep="\n")
    print(f"Seed {seed}: all holds. What went wrong on the way: {', '.join(world.power.fired) or 'nothing'}")
    return 0


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--seed"]:
        return tell(int(arguments[1]))
    count, first = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    began, wrong = time.monotonic(), list[int]()
    with ProcessPoolExecutor() as pool:
        for number, (seed, failed) in enumerate(pool.map(tried, range(first, first + count), chunksize=20), start=1):
            if failed:
                print(f"Seed {seed} fails.", flush=True)
                wrong.append(seed)
            if number % 1_000 == 0:
                print(f"{number:,} seeds in {time.monotonic() - began:.0f} s, {len(wrong)} fail", flush=True)
    for seed in wrong[:3]:
        print(story(plan_of(seed), faults_of))
    print(f"{count:,} seeds from {first}: {len(wrong)} fail.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
