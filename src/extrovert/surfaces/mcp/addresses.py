"""Addresses: which look-up an address such as `extrovert://tables/flights/F1` means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from extrovert.surfaces.mcp.wire import LookUp, PublishedTool

__all__ = ["meant"]

_PART = re.compile(r"\{(\w+)\}")


def meant(address: str, tools: Iterable[PublishedTool]) -> LookUp | None:
    """The look-up that an address means; None where nothing that is published has it."""
    parts = address.split("/")
    for tool in tools:
        template = tool.address.split("/")
        if tool.address and len(template) == len(parts) and "" not in parts[3:]:
            names = [_PART.fullmatch(one) for one in template]
            if all(name or one == part for name, one, part in zip(names, template, parts, strict=True)):
                given = {name[1]: unquote(part) for name, part in zip(names, parts, strict=True) if name}
                return LookUp(tool.name, given, text=True)
    return None
