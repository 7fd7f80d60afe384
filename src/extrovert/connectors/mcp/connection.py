"""The connection to an MCP server, on the official SDK: held by a task beside the loop, and made anew when it broke."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from extrovert.connectors.mcp.ending import noting_its_end
from extrovert.connectors.mcp.needed import needed
from extrovert.connectors.mcp.reaching import Way
from extrovert.connectors.mcp.result import McpResult, result_of
from extrovert.connectors.mcp.tool_file import ToldTool, ToolFile, unlike
from extrovert.core.errors import ExtrovertError, PermanentError, TransientError

if TYPE_CHECKING:
    from mcp import Client

__all__ = ["Connection", "told_by"]

BEGIN_S = 30.0
END_S = 10.0
"""A program has so long to end by itself; the SDK kills one that takes longer than some seconds."""
MOST_PAGES = 100


class Connection:
    """A connection to the server `name` for one loop. A tool that is not any more what `file` says is not called."""

    def __init__(self, name: str, way: Way, file: ToolFile) -> None:
        self._who = f"MCP server `{name}`"
        self._way = way
        self._file = file
        self._live: _Live | None = None
        self._closed = False

    async def call(self, tool: str, arguments: dict[str, Any], meta: dict[str, Any] | None = None) -> McpResult:
        """What the tool gives. Raises as `McpServer.call` says."""
        from mcp.shared.exceptions import MCPError

        live = await self._living()
        if (wrong := live.wrong.get(tool)) is not None:
            raise PermanentError(f"{self._who}: {wrong}")
        try:
            async with asyncio.timeout(self._way.timeout_s):
                given = await live.client.call_tool(tool, arguments, meta=meta)  # pyright: ignore
                return result_of(given, self._way.without_secrets)
        except TimeoutError:
            raise ExtrovertError(f"{self._who} did not answer within {self._way.timeout_s:g} s.") from None
        except MCPError as error:
            raise await self._told(live, tool, error) from error
        except Exception as error:
            await live.end()
            raise ExtrovertError(f"{self._who} broke off: {self._way.without_secrets(_said(error))}") from error

    async def close(self) -> None:
        """Ends the connection, and the program that was started."""
        self._closed = True
        if self._live is not None:
            await self._live.end()

    async def _told(self, live: _Live, tool: str, error: Any) -> ExtrovertError:
        """What the protocol's error means for who called."""
        from mcp import types

        error_said = self._way.without_secrets(error.message)
        said = f"{self._who}: tool `{tool}`: {error_said}"
        match error.code:
            case types.METHOD_NOT_FOUND | types.INVALID_PARAMS | types.PARSE_ERROR:
                return PermanentError(said)
            case types.INVALID_REQUEST:  # a session that it does not know any more, above all
                await live.end()
                return TransientError(said)
            case types.CONNECTION_CLOSED:
                await live.end()
                return ExtrovertError(f"{self._who} is gone before it answered: {error_said}.")
            case _:
                return ExtrovertError(said)

    async def _living(self) -> _Live:
        """The connection that stands, or a new one: it is made also where who waits for it goes away. Raises
        `TransientError` or `PermanentError` where there is none."""
        if self._closed:
            raise TransientError(f"{self._who}: the engine is about to stop.")
        if self._live is None or self._live.ended:
            self._live = _Live(self._way, self._file)
        live = self._live
        try:
            await live.ready()
        except (PermanentError, TransientError) as error:
            raise type(error)(f"{self._who} {error}") from error
        return live


class _Live:
    """A connection that stands. One task enters and leaves it, as the SDK's scopes want."""

    client: Client

    def __init__(self, way: Way, file: ToolFile) -> None:
        self._way = way
        self._file = file
        self._over = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._begun: asyncio.Future[None] = loop.create_future()
        self._begun.add_done_callback(_seen)
        self._begins_until_s = loop.time() + BEGIN_S
        self._task = asyncio.create_task(self._hold(), name="mcp connection")
        self.wrong: dict[str, str] = {}

    @property
    def ended(self) -> bool:
        """Whether it does not stand any more: it was ended, or the program has died."""
        return self._over.is_set()

    async def ready(self) -> None:
        """Waits until it stands. Raises `TransientError` or `PermanentError` where it does not come to that."""
        try:
            async with asyncio.timeout_at(self._begins_until_s):
                await asyncio.shield(self._begun)
        except TimeoutError:
            await self.end()
            raise TransientError(f"was not ready within {BEGIN_S:g} s.") from None
        except FileNotFoundError as error:
            raise PermanentError(f"cannot be started: there is no program {error.filename}.") from error
        except PermanentError:
            raise
        except Exception as error:
            raise TransientError(f"cannot be reached: {_said(error)}") from error

    async def end(self) -> None:
        self._over.set()
        if not self._begun.done():
            self._begun.set_exception(ConnectionError("it was ended before it stood"))
            self._task.cancel()
        if self._task is not asyncio.current_task():
            done, _ = await asyncio.wait({self._task}, timeout=END_S)
            if not done:
                self._task.cancel()

    async def _hold(self) -> None:
        try:
            async with connected(self._way, self._over, self._file.mode) as client:
                self.wrong = unlike(self._file, await _tools(client))
                self.client = client
                if not self._begun.done():
                    self._begun.set_result(None)
                await self._over.wait()
        except Exception as error:
            if not self._begun.done():
                self._begun.set_exception(_first(error))
        finally:
            self._over.set()


@asynccontextmanager
async def connected(way: Way, ended: asyncio.Event, mode: str = "auto") -> AsyncGenerator[Client]:
    """A client of the server during the block; `ended` is set when its program dies meanwhile."""
    needed()
    import httpx2
    from mcp import Client, StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client

    if way.command:
        command, *arguments = way.command
        parameters = StdioServerParameters(command=command, args=arguments, env=way.variables())
        transport = stdio_client(parameters, errlog=sys.__stderr__ or sys.stderr)
        async with Client(noting_its_end(transport, ended), cache=None, mode=mode) as client:
            yield client
        return
    token = way.token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(way.timeout_s, read=None)) as http,
        Client(streamable_http_client(way.url, http_client=http), cache=None, mode=mode) as client,
    ):
        yield client


async def told_by(way: Way) -> ToolFile:
    """What a server says of itself and its tools. Raises `ExtrovertError` where it says nothing."""
    try:
        async with asyncio.timeout(BEGIN_S), connected(way, asyncio.Event()) as client:
            name, version = ("", "") if (info := client.server_info) is None else (info.name, info.version)
            return ToolFile(name, version, await _tools(client), client.protocol_version)
    except TimeoutError:
        raise ExtrovertError(f"The server was not ready within {BEGIN_S:g} s.") from None
    except ExtrovertError:
        raise
    except Exception as error:
        raise ExtrovertError(f"The server cannot be reached: {_said(_first(error))}") from error


async def _tools(client: Client) -> list[ToldTool]:
    found: list[ToldTool] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            hints = {} if tool.annotations is None else tool.annotations.model_dump(by_alias=True, exclude_none=True)
            found.append(ToldTool(tool.name, tool.description or "", dict(tool.input_schema), hints))
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _seen(begun: asyncio.Future[None]) -> None:
    """Takes the error of a connection that nobody waits for any more."""
    if not begun.cancelled():
        begun.exception()


def _first(error: Any) -> BaseException:
    """What went wrong, out of the groups in which task groups raise it."""
    if isinstance(error, BaseExceptionGroup):
        return _first(error.exceptions[0])  # pyright: ignore[reportUnknownMemberType]
    return error


def _said(error: BaseException) -> str:
    found = _first(error)
    return f"{type(found).__name__}: {found}" if str(found) else f"{type(found).__name__}."
