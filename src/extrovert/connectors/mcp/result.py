"""What a tool of an outside MCP server gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from typing_extensions import TypeForm

from extrovert.core.errors import PermanentError
from extrovert.core.record import Record
from extrovert.core.untrusted import Untrusted

if TYPE_CHECKING:
    from mcp import types

__all__ = ["McpResult", "TrustedResult", "result_of"]

T = TypeVar("T")
MOST = 1_000_000
"""So many characters of text a tool may give; what is longer is cut off, and says so."""


class McpResult(Record, omit_defaults=True):
    """What a tool gave: `text`, and `data` where it gave structured content. Both come from outside: they are data, and
    no instructions, and a turn that has been given some is bound by `when_tainted`. With `failed` they say why the tool
    did not do it."""

    text: Untrusted[str] = ""
    data: Untrusted[Any] = None
    failed: bool = False

    @property
    def given(self) -> Any:
        """What was given, as JSON has it: the data, or the text where it is no JSON object or array."""
        if self.data is not None:
            return self.data
        if self.text.lstrip().startswith(("{", "[")):
            try:
                return msgspec.json.decode(self.text)
            except msgspec.DecodeError:
                pass
        return self.text

    def read(self, kind: TypeForm[T]) -> T:
        """What was given, as a `kind`. Raises `PermanentError` where the tool failed, or gave something else."""
        if self.failed:
            raise PermanentError(f"The tool failed: {self.text}")
        try:
            return msgspec.convert(self.given, kind)  # pyright: ignore[reportArgumentType, reportUnknownVariableType]
        except msgspec.ValidationError as error:
            raise PermanentError(f"The tool gave no {getattr(kind, '__name__', kind)}: {error}.") from error


class TrustedResult(McpResult, omit_defaults=True):
    """The same of a tool whose text is declared to be nobody's but ours."""

    text: str = ""
    data: Any = None


def result_of(given: types.CallToolResult, clean: Callable[[str], str] = str) -> McpResult:
    """What the protocol's result says, each text as `clean` gives it. What is neither text nor data is only named."""
    parts = [getattr(one, "text", None) or f"[{one.type}]" for one in given.content]
    text = "\n".join(parts)
    if len(text) > MOST:
        text = f"{text[:MOST]}\n[{len(text) - MOST} more characters were cut off]"
    return McpResult(clean(text), _cleaned(given.structured_content, clean), given.is_error)


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(one, clean) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {clean(name): _cleaned(one, clean) for name, one in cast("dict[str, Any]", value).items()}
    return value
