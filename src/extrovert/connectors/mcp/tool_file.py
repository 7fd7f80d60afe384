"""The file in which an app keeps what an MCP server says of its tools, so that a prompt is made of what was looked at.

It is written by `extrovert mcp-tools`, and kept beside the app like its code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from extrovert.core.errors import DeclarationError
from extrovert.core.ids import canonical
from extrovert.core.record import Record

__all__ = ["ToldTool", "ToolFile", "differences", "read", "unlike", "written"]

HOW = "Write it with: extrovert mcp-tools {path} -- COMMAND …, or extrovert mcp-tools {path} --url URL"


class ToldTool(Record, omit_defaults=True):
    """A tool as its server tells of it; `annotations` are its hints, such as `readOnlyHint`."""

    name: str
    description: str = ""
    schema: dict[str, Any] = msgspec.field(name="inputSchema", default_factory=dict[str, Any])
    annotations: dict[str, Any] = {}

    @property
    def needed(self) -> frozenset[str]:
        """The arguments that have to be given."""
        return frozenset(self.schema.get("required") or ())

    def hint(self, name: str) -> bool | None:
        """A hint; None where the server does not say."""
        found = self.annotations.get(name)
        return found if isinstance(found, bool) else None


class ToolFile(Record):
    """What a server says of itself and its tools, and the version of the `protocol` that it spoke."""

    server: str
    version: str
    tools: list[ToldTool]
    protocol: str = ""

    @property
    def mode(self) -> Literal["legacy", "auto"]:
        """How a connection begins. A server of before 2026 is greeted as it expects: many complain of anything else."""
        return "legacy" if "" < self.protocol < "2026" else "auto"

    def tool(self, of: str, name: str) -> ToldTool:
        """The tool of this name. Raises `DeclarationError`, which names those that there are."""
        found = next((tool for tool in self.tools if tool.name == name), None)
        if found is None:
            known = ", ".join(tool.name for tool in self.tools) or "none"
            raise DeclarationError(f"MCP server `{of}` has no tool `{name}` in its tool file. There are: {known}.")
        return found


def read(path: Path) -> ToolFile:
    """The file at `path`. Raises `DeclarationError` where there is none, or another."""
    how = HOW.format(path=path.name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=ToolFile)
    except FileNotFoundError:
        raise DeclarationError(f"There is no tool file {path}. {how}") from None
    except msgspec.DecodeError as error:
        raise DeclarationError(f"{path} is no tool file: {error}. {how}") from error


def written(file: ToolFile) -> bytes:
    """The file as text: one line for each value, so that a change is seen."""
    file = file.but(tools=sorted(file.tools, key=lambda tool: tool.name))
    return msgspec.json.format(canonical(file), indent=2) + b"\n"


def differences(old: ToolFile, new: ToolFile) -> list[str]:
    """What is otherwise in `new`, tool by tool."""
    before, after = ({tool.name: tool for tool in file.tools} for file in (old, new))
    found: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            found.append(f"{name}: gone")
        elif name not in before:
            found.append(f"{name}: new")
        else:
            one, other = before[name], after[name]
            parts = {
                "description": one.description != other.description,
                "arguments": one.schema != other.schema,
                "hints": one.annotations != other.annotations,
            }
            if changed := [part for part, differs in parts.items() if differs]:
                found.append(f"{name}: other {', '.join(changed)}")
    return found


def unlike(file: ToolFile, tools: list[ToldTool]) -> dict[str, str]:
    """By tool of the file, why it cannot be called as it is there: the server's is gone, or takes other arguments."""
    there = {tool.name: tool for tool in tools}
    found: dict[str, str] = {}
    for tool in file.tools:
        if tool.name not in there:
            found[tool.name] = f"it has no tool `{tool.name}` any more. Write its tool file anew: extrovert mcp-tools."
        elif there[tool.name].schema != tool.schema:
            found[tool.name] = (
                f"its tool `{tool.name}` takes other arguments than its tool file says. Write that anew, and look at "
                f"what has changed: extrovert mcp-tools."
            )
    return found
