"""Who is compared, and on which works."""

from __future__ import annotations

import msgspec

__all__ = ["JOBS", "OURS", "PLAIN", "SYSTEMS", "Job", "System"]


class System(msgspec.Struct, frozen=True, kw_only=True):
    """One that does the works: `module` of `bench.peers.runners`, in an environment with `requires` from PyPI.

    Without requirements it runs in the environment of the bench. `variant` is handed to the runner.
    """

    name: str
    title: str
    module: str
    works: tuple[str, ...]
    requires: tuple[str, ...] = ()
    variant: str = ""
    broker: bool = False


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the comparison: a work with its settings. `share` is that of the events which it is done on."""

    name: str
    work: str
    what: str
    aim: str
    fields: int = 10
    rate: int = 0
    share: float = 1.0

    @property
    def figure(self) -> str:
        """What is compared: events a second, or latencies."""
        return "latency" if self.rate else "rate"


PLAIN = System(name="plain", title="plain loop", module="plain", works=("W1", "W2", "W3", "W4"))
OURS = System(name="extrovert", title="Extrovert", module="ours", works=("W1", "W2", "W3", "W4"))
SYSTEMS = (
    PLAIN,
    OURS,
)

JOBS = (
    Job(
        name="W1",
        work="W1",
        what="latest row and count per key, threshold trigger",
        aim="≥ 2 × the best peer; ≥ 60 % of a plain loop",
    ),
    Job(
        name="W1, 5 fields",
        work="W1",
        what="the same, of rows that keep five of the ten fields",
        aim="",
        fields=5,
    ),
    Job(
        name="W2, 2,000/s",
        work="W2",
        what="event handed in → trigger called",
        aim="p50 ≤ 0.1 ms, p99 ≤ 0.5 ms, not above any peer",
        rate=2_000,
    ),
    Job(
        name="W2, 10,000/s",
        work="W2",
        what="event handed in → trigger called",
        aim="p50 ≤ 0.1 ms, p99 ≤ 0.5 ms, not above any peer",
        rate=10_000,
    ),
    Job(
        name="W3",
        work="W3",
        what="W1, everything durable",
        aim="≥ 2.5 × the best peer; ≥ 70 % of our W1",
    ),
    Job(
        name="W4",
        work="W4",
        what="tumbling minute per key, 10 % up to 30 s out of order",
        aim="≥ 8 × the best peer; ≥ 40 % of a plain loop",
        fields=5,
    ),
)
