"""LangGraph with SqliteSaver: the job is an entrypoint, each look at the outside a task, checkpoints are synchronous.

A thread that was interrupted is resumed by invoking it with None. With the variant "read again" the price is read once
more before the order, and the model asked again where it changed.
"""

# The peer is not in the environment where types are checked.
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.func import entrypoint, task

from bench.trust.job import Ended, Job, Question, ask, find_order, place_order, read_price, run


@task
def price_of(port: int, item: str) -> int:
    return read_price(port, item)


@task
def quantity_for(port: int, item: str, price: int, budget: int) -> int:
    return ask(port, Question(item, price, budget))


@task
def order(port: int, target: str, key: str, item: str, quantity: int, price: int) -> str:
    """A task may run more than once, so it looks first where that is possible."""
    found = find_order(port, key) if target == "look-up" else None
    return found or place_order(port, key, item, quantity, price)


def work(job: Job) -> Ended:
    with SqliteSaver.from_conn_string(str(Path(job.data) / "langgraph.sqlite")) as saver:

        @entrypoint(checkpointer=saver)
        def buy(given: dict[str, Any]) -> str:
            port, item, budget = given["port"], given["item"], given["budget"]
            price = price_of(port, item).result()
            quantity = quantity_for(port, item, price, budget).result()
            while given["careful"] and (now := price_of(port, item).result()) != price:
                price = now
                quantity = quantity_for(port, item, price, budget).result()
            return order(port, given["target"], given["key"], item, quantity, price).result()

        config = {"configurable": {"thread_id": job.job_id}}
        given = {
            "port": job.port, "item": job.item, "budget": job.budget, "target": job.target, "key": job.job_id,
            "careful": bool(job.variant),
        }  # fmt: skip
        interrupted = bool(buy.get_state(config).next)
        buy.invoke(None if interrupted else given, config, durability="sync")
    return Ended(f"LangGraph {version('langgraph')}, SqliteSaver {version('langgraph-checkpoint-sqlite')}")


if __name__ == "__main__":
    run(work)
