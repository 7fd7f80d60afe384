"""DBOS on SQLite: the job is a workflow, each look at the outside a step; pending workflows are recovered on launch.

With the variant "read again" the workflow reads the price once more before it orders, and asks again where it changed.
"""

# The peer is not in the environment where types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from dbos import DBOS, SetWorkflowID

from bench.trust.job import Ended, Job, Question, ask, find_order, place_order, read_price, run


@DBOS.step()
def price_of(port: int, item: str) -> int:
    return read_price(port, item)


@DBOS.step()
def quantity_for(port: int, item: str, price: int, budget: int) -> int:
    return ask(port, Question(item, price, budget))


@DBOS.step()
def order(port: int, target: str, key: str, item: str, quantity: int, price: int) -> str:
    """A step may run more than once, so it looks first where that is possible."""
    found = find_order(port, key) if target == "look-up" else None
    return found or place_order(port, key, item, quantity, price)


@DBOS.workflow()
def buy(port: int, target: str, item: str, budget: int, careful: bool) -> str:
    price = price_of(port, item)
    quantity = quantity_for(port, item, price, budget)
    while careful and (now := price_of(port, item)) != price:
        price = now
        quantity = quantity_for(port, item, price, budget)
    return order(port, target, str(DBOS.workflow_id), item, quantity, price)


def work(job: Job) -> Ended:
    DBOS(config={"name": "buyer", "system_database_url": f"sqlite:///{Path(job.data) / 'dbos.sqlite'}"})
    DBOS.launch()
    with SetWorkflowID(job.job_id):
        handle = DBOS.start_workflow(buy, job.port, job.target, job.item, job.budget, bool(job.variant))
    handle.get_result()
    return Ended(f"DBOS {version('dbos')}")


if __name__ == "__main__":
    run(work)
