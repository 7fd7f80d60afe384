"""Delegating: a whole agent of Pydantic AI, run within a turn, each of whose steps is remembered.

The agent runs beside the turn, and stops where it wants something: an answer of its model, a tool of the turn. That is
what the turn is given as the result of a call; it gets it as any other, and hands it on with the next call. So after a
crash, or where the turn is run again, the agent goes on from what it had been told, and nothing is asked twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from msgspec import Raw

from extrovert.core.ids import canonical, fingerprint
from extrovert.core.record import Record
from extrovert.turns.asking import Asking
from extrovert.turns.exchange import Calling
from extrovert.turns.request import Request
from extrovert.turns.toolbox import Toolbox

if TYPE_CHECKING:
    from extrovert.turns import declare
    from extrovert.turns.turn import Turn

__all__ = [
    "RUN",
    "Asks",
    "Conversation",
    "Delegated",
    "DelegatedTool",
    "Ends",
    "Heard",
    "Runs",
    "Step",
    "Uses",
    "delegate",
]


RUN = "run:"
"""The names of its steps begin so: what they bring is what a model has said."""


class Asks(Record, tag="asks"):
    """The agent asks its model: the first `same` of the messages before, then these, with these parameters. `name`
    names what it waits for."""

    name: str
    same: int
    messages: list[Raw]
    parameters: Raw


class Uses(Record, tag="uses"):
    """It calls a tool of the turn."""

    name: str
    tool: str
    arguments: Any


class Runs(Record, tag="runs"):
    """It calls a tool of its own."""

    name: str
    tool: str
    arguments: Any


class Ends(Record, tag="ends"):
    """It has come to its result."""

    output: Raw


Step = Asks | Uses | Runs | Ends
Heard = tuple[str, Raw]
"""The name of what the agent waited for, and what it got."""


class Conversation(Record):
    """What a model is asked by an agent of Pydantic AI: messages and parameters, as that library writes them."""

    parameters: Raw
    messages: list[Raw]


class Delegated:
    """An agent that runs up to its next step: with this prompt, these dependencies and tools of the turn (as a model is
    told of them), after what it has `heard` so far."""

    __slots__ = ("agent", "deps", "heard", "prompt", "tools")

    def __init__(self, agent: Any, prompt: str, deps: Any, tools: str, heard: Sequence[Heard]) -> None:
        self.agent = agent
        self.prompt = prompt
        self.deps = deps
        self.tools = tools
        self.heard = tuple(heard)


class DelegatedTool:
    """A tool of an agent's own, which it has called under this `name`."""

    __slots__ = ("name", "work")

    def __init__(self, work: Delegated, name: str) -> None:
        self.work = work
        self.name = name


async def delegate(
    turn: Turn, agent: Any, prompt: str, *, deps: Any, tools: Sequence[Any], by: declare.Agent[Any] | declare.Asks
) -> Raw:
    """The result of `agent`, as JSON. Its model is that of the turn's agent."""
    box = Toolbox(tools)
    heard: list[Heard] = []
    messages: list[Raw] = []
    name = f"{RUN}{getattr(agent, 'name', None) or 'agent'}"
    while True:
        about = [prompt, box.specs, fingerprint(*(part for name, value in heard for part in (name, bytes(value))))]
        work = Delegated(agent, prompt, deps, box.specs, heard)
        step: Step = await Asking(turn, Request("call", name, about, Step, function=work))
        match step:
            case Ends(output):
                return output
            case Asks(waits, same, more, parameters):
                messages = [*messages[:same], *more]
                asked = Conversation(parameters, messages)
                request = Request("ask", by.model, asked, Raw, parameters=by.parameters)
                heard.append((waits, await Asking(turn, request)))
            case Uses(waits, tool, arguments):
                result = await box.use(turn, Calling(tool, arguments))
                heard.append((waits, Raw(canonical(result))))
            case Runs(waits, tool, arguments):
                turn.leaves(f"{name}.{tool}", _values(arguments))
                called = DelegatedTool(work, waits)
                request = Request("call", f"{name}.{tool}", [arguments, waits], Raw, function=called)
                heard.append((waits, await Asking(turn, request)))


def _values(arguments: Any) -> list[Any]:
    return list(cast("dict[str, Any]", arguments).values()) if isinstance(arguments, dict) else [arguments]
