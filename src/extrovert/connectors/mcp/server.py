"""An MCP server that other people wrote, as an app declares it: its tools as look-ups and effects of turns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from weakref import WeakKeyDictionary

import msgspec
from msgspec.structs import fields

from extrovert.connectors.mcp.reaching import Way
from extrovert.connectors.mcp.result import McpResult, TrustedResult
from extrovert.connectors.mcp.schemas import struct_of
from extrovert.connectors.mcp.tool_file import ToldTool, ToolFile
from extrovert.core.errors import DeclarationError, ExtrovertError, PermanentError, Refuse, TransientError
from extrovert.turns.declare import Backoff, Effect
from extrovert.turns.tools import Tool
from extrovert.turns.turn import Turn

if TYPE_CHECKING:
    import asyncio

    from extrovert.connectors.mcp.connection import Connection

__all__ = ["McpLook", "McpServer"]

KEY = "idempotency_key"
META_KEY = "extrovert/idempotency-key"
"""Under this name a server is told the key of an effect, beside its arguments: one that knows it drops repetitions."""

Declare = Callable[..., Callable[[Callable[..., Awaitable[Any]]], Effect[...]]]


class EffectOptions(TypedDict, total=False):
    """What else an effect declares: see `App.effect`."""

    idempotent: bool
    reconcile: Callable[[str], Awaitable[Any]] | None
    max_tries: int
    retry: Backoff
    concurrency: int
    per_second: float
    in_order: bool
    order_by: str
    undo: Effect[...]
    horizon: timedelta


class McpLook(Tool):
    """A tool that only reads, for `tools=` of an ask, or called in a turn: `await look(turn, "B-17")`.

    What it gave is remembered like an answer; with `max_age` it is read anew where it is older when the turn commits.
    Its text is from outside, unless it is `trusted`.
    """

    def __init__(
        self, server: McpServer, told: ToldTool, name: str, max_age: timedelta | None, *, trusted: bool
    ) -> None:
        arguments = struct_of(f"{server.name}_{told.name}", told.schema)
        super().__init__(name, told.description, arguments, self._use)
        self.server = server
        self.tool = told.name
        self.max_age = max_age
        self.trusted = trusted

        async def read(given: dict[str, Any]) -> McpResult:
            try:
                return await server.call(told.name, given)
            except (PermanentError, TransientError):
                raise
            except ExtrovertError as error:
                raise TransientError(str(error)) from error  # it changes nothing: it may be called again

        self.__module__, self.__qualname__ = "mcp", f"{server.name}.{told.name}"  # so `Permits(calls=[…])` knows it
        read.__module__, read.__qualname__ = self.__module__, self.__qualname__
        self._read = read

    async def __call__(self, turn: Turn, *arguments: Any, **named: Any) -> McpResult:
        """What the tool gives for these arguments, in order or by name."""
        given = msgspec.to_builtins(self.arguments(*arguments, **named))
        output = TrustedResult if self.trusted else McpResult
        return await turn.call(self._read, given, output=output, max_age=self.max_age)

    async def _use(self, turn: Turn, arguments: tuple[Any, ...]) -> Any:
        result = await self(turn, *arguments)
        if result.failed:
            raise Refuse(result.text)
        return result.given


class McpServer:
    """An MCP server whose tools turns use. Made by `App.mcp`.

    There is one connection to it for each running engine: it is made when it is first needed, made anew when it has
    broken, and closed with the engine.
    """

    def __init__(self, name: str, way: Way, file: ToolFile, declare: Declare) -> None:
        self.name = name
        self.way = way
        self.file = file
        self._declare = declare
        self._connections: WeakKeyDictionary[asyncio.AbstractEventLoop, Connection] = WeakKeyDictionary()

    def look(self, tool: str, *, name: str = "", max_age: timedelta | None = None, trusted: bool = False) -> McpLook:
        """The tool as a look-up: it may be called at any time, and again, since it changes nothing. What it gives is
        text from outside, unless it is `trusted`.

        Raises `DeclarationError` where the server itself says that it does.
        """
        told = self.file.tool(self.name, tool)
        if told.hint("readOnlyHint") is False:
            raise DeclarationError(
                f"Tool `{tool}` of MCP server `{self.name}` is no look-up: its server says that it changes something. "
                f"Declare it as an effect: {self.name}.effect({tool!r})."
            )
        return McpLook(self, told, name or tool, max_age, trusted=trusted)

    def looks(self, *tools: str, max_age: timedelta | None = None, trusted: bool = False) -> list[McpLook]:
        """Several tools as look-ups; without names, all of which the server says that they only read."""
        names = tools or [tool.name for tool in self.file.tools if tool.hint("readOnlyHint")]
        return [self.look(name, max_age=max_age, trusted=trusted) for name in names]

    def effect(self, tool: str, *, name: str = "", key_as: str = "", **options: Unpack[EffectOptions]) -> Effect[...]:
        """The tool as an effect, which takes its arguments in the order of its schema, needed ones first.

        Say whether it is safe to repeat: `idempotent` where to call it again with the same arguments changes nothing
        more, or where it knows the key that it is given (`key_as` names the argument); or how to look up what came of
        it: `reconcile`. With neither it is called at most once. The others are those of `App.effect`.
        """
        told = self.file.tool(self.name, tool)
        arguments = struct_of(f"{self.name}_{tool}", told.schema)
        taken = [field for field in fields(arguments) if field.encode_name != key_as]
        if key_as and len(taken) == len(fields(arguments)):
            raise DeclarationError(f"Tool `{tool}` of MCP server `{self.name}` has no argument `{key_as}`: key_as=.")
        names = [field.name for field in taken]

        async def act(*values: Any, idempotency_key: str = "") -> Any:
            given = msgspec.to_builtins(dict(zip(names, values, strict=True)))
            given = {field.encode_name: given[field.name] for field in taken}
            given = {key: value for key, value in given.items() if value is not None or key in told.needed}
            if key_as:
                given[key_as] = idempotency_key
            result = await self.call(tool, given, {META_KEY: idempotency_key})
            if result.failed:
                raise PermanentError(f"Tool `{tool}` of MCP server `{self.name}` did not do it: {result.text}")
            return result.given

        parameters = [Parameter(one, Parameter.POSITIONAL_OR_KEYWORD) for one in names]
        key = Parameter(KEY, Parameter.KEYWORD_ONLY, default="")
        act.__name__ = name or tool
        act.__doc__ = told.description
        act.__annotations__ = {field.name: field.type for field in taken}
        act.__signature__ = Signature([*parameters, key])  # pyright: ignore[reportFunctionMemberAccess]
        return self._declare(**options)(act)

    async def call(self, tool: str, arguments: dict[str, Any], meta: dict[str, Any] | None = None) -> McpResult:
        """Calls a tool. Raises `TransientError` where it was not called and may be later, `PermanentError` where it
        will never be, and any other error where it may have been called."""
        import asyncio

        from extrovert.connectors.mcp.connection import Connection

        loop = asyncio.get_running_loop()
        found = self._connections.get(loop)
        if found is None:
            found = self._connections[loop] = Connection(self.name, self.way, self.file)
        return await found.call(tool, arguments, meta)

    async def close(self) -> None:
        """Closes the connection of the engine in this loop."""
        import asyncio

        found = self._connections.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.close()
