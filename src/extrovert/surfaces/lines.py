"""Lines: a prompt, each line beside what it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from extrovert.core.log import Lines
from extrovert.surfaces.printing import columns

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["line_by_line", "source_of"]


def line_by_line(text: str, lines: Sequence[Lines]) -> RenderableType:
    """The lines of a prompt with their numbers and sources; the developer's own text has none."""
    sources = {number: source_of(one) for one in lines for number in range(one.first, one.last + 1)}
    rows = [(number, line, sources.get(number, "")) for number, line in enumerate(text.split("\n"), start=1)]
    return columns(("line", "text", "from"), rows, right=("line",))


def source_of(lines: Lines) -> str:
    """Where lines come from, as `flights/F1@17`."""
    if not lines.of:
        return "computed"
    at = lines.at if isinstance(lines.at, str) else msgspec.json.encode(lines.at).decode()
    version = f"@{lines.version}" if lines.version else ""
    return f"{lines.of}/{at}{version}" + (f" ({lines.through})" if lines.through else "")
