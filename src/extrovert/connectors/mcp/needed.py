"""Whether the MCP SDK is there."""

from __future__ import annotations

from importlib.util import find_spec

from extrovert.core.errors import MissingExtra

__all__ = ["needed"]


def needed() -> None:
    """Raises `MissingExtra` where the extra `mcp` is not installed."""
    if find_spec("mcp") is None:
        raise MissingExtra("The package `mcp`, which speaks the Model Context Protocol,", "mcp")
