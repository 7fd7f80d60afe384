"""The world that effects act on: what was done, in which order and when, and what goes wrong."""

from __future__ import annotations

from typing import Any

from extrovert import App, Record, Table
from extrovert.core.log import EffectStep
from tests.hosts import Host

__all__ = ["Order", "Outside", "PowerCut", "moves", "order_app", "steps_of"]


class PowerCut(BaseException):
    """The engine's process ends here."""


class Order(Record):
    """What agents wake on; `text` is what they do."""

    order_id: str
    text: str = ""
    number: int = 0


class Outside:
    """Keeps what was `done`. `errors` are raised by the effects of these names, in order, instead of acting; a
    `PowerCut` after it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.keys: list[str] = []
        self.errors: dict[str, list[BaseException]] = {}
        self.looked_up: list[str] = []

    async def act(self, name: str, what: str, key: str = "") -> str:
        waiting = self.errors.get(name, [])
        error = waiting.pop(0) if waiting else None
        if error is not None and not isinstance(error, PowerCut):
            raise error
        self.done.append(f"{name} {what}")
        self.keys.append(key)
        if error is not None:
            raise error
        return f"{name} {what}: done"

    async def look_up(self, key: str) -> str | None:
        self.looked_up.append(key)
        return "found" if key in self.keys else None


def order_app() -> tuple[App, Table[str, Order]]:
    app = App("orders")
    return app, app.table("orders", Order, key=Order.order_id)


def moves(host: Host) -> list[tuple[str, str]]:
    """All steps of effects, in order: (slot, state), for one decision."""
    found: list[Any] = [move for step in host.bodies(EffectStep) for move in step.moves]
    return [(move.key.partition("/")[2], move.state) for move in found]


def steps_of(host: Host, key: str) -> list[str]:
    """The states of one effect, in order."""
    return [move.state for step in host.bodies(EffectStep) for move in step.moves if move.key == key]
