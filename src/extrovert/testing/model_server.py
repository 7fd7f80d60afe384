"""A model's server as tests want it: it speaks the OpenAI protocol over real HTTP, and does as it is told."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import Any

import msgspec

from extrovert.core.ids import canonical
from extrovert.turns.exchange import Calls
from extrovert.turns.tools import ANSWER

__all__ = ["Asked", "ModelServer"]


class Asked:
    """One request that the server had: its `path`, `headers` (lower case) and `body`.

    `answered` is set when the answer has been sent, `closed` when the client has closed the connection before that.
    """

    def __init__(self, path: str, headers: dict[str, str], body: Any) -> None:
        self.path = path
        self.headers = headers
        self.body = body
        self.answered = asyncio.Event()
        self.closed = asyncio.Event()


class _Status(msgspec.Struct):
    status: int
    headers: dict[str, str]
    message: str


class ModelServer:
    """Answers chat completions on a loopback port. Use it as `async with ModelServer() as server:`.

    What it does is told beforehand, one for each request; the last stays. `asked` has the requests so far.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self.connections = 0
        self._plan: list[Any] = []
        self._more = asyncio.Condition()
        self._gate = asyncio.Event()
        self._gate.set()
        self._spoken = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> ModelServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2_048)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._gate.set()
        for writer in self._open:
            writer.close()
        await self._server.wait_closed()

    # ---- what it is told

    def answers(self, *answers: Any) -> None:
        """Answers with these values: text as it is, `Calls` as calls of tools, anything else as JSON."""
        self._plan += [one if isinstance(one, str | Calls) else canonical(one).decode() for one in answers]

    def fails(self, status: int, message: str = "told to fail", **headers: str) -> None:
        """Answers with an HTTP error; `retry_after="2"` is the header Retry-After."""
        self._plan.append(_Status(status, {name.replace("_", "-"): value for name, value in headers.items()}, message))

    def cuts(self) -> None:
        """Closes the connection in the middle of the answer."""
        self._plan.append(None)

    def hold(self, after: int = 0) -> None:
        """Takes requests, and answers none until `release`; streams are held up `after` so many words."""
        self._spoken = after
        self._gate.clear()

    def release(self) -> None:
        """Answers what is held, and does not hold up any more."""
        self._gate.set()

    async def request(self, number: int) -> Asked:
        """The request of this number, from 0, when it has come."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.asked) > number)
        return self.asked[number]

    # ---- serving

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while (asked := await _read(reader)) is not None:
                async with self._more:
                    self.asked.append(asked)
                    self._more.notify_all()
                answer = self._stream if _streams(asked) else self._answer
                if not await answer(reader, writer, asked):
                    return
                await writer.drain()
                asked.answered.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _opened(self, reader: asyncio.StreamReader, asked: Asked) -> bool:
        """Waits until answers may go out; False where the client went away before."""
        if self._gate.is_set():
            return True
        gone = asyncio.ensure_future(reader.read(1))
        may = asyncio.ensure_future(self._gate.wait())
        await asyncio.wait((gone, may), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            may.cancel()
            asked.closed.set()
            return False
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        return True

    def _next(self) -> Any:
        return self._plan.pop(0) if len(self._plan) > 1 else self._plan[0]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        if not await self._opened(reader, asked):
            return False
        return self._tell(writer, asked, self._next())

    def _tell(self, writer: asyncio.StreamWriter, asked: Asked, told: Any) -> bool:
        if told is None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
            return False
        if isinstance(told, _Status):
            body = canonical({"error": {"message": told.message, "type": "told", "code": None}})
            writer.write(_head(told.status, told.headers, body) + body)
            return True
        body = canonical(_completion(asked.body, told))
        writer.write(_head(200, {}, body) + body)
        return True

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        """Answers word by word. One that cuts says a few, and closes."""
        told = self._next()
        if isinstance(told, _Status):
            return await self._opened(reader, asked) and self._tell(writer, asked, told)
        writer.write(b"HTTP/1.1 200 Told\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        whole = _completion(asked.body, "A few words" if told is None else told)
        chunks = _chunks(whole)
        for number, chunk in enumerate(chunks[:3] if told is None else chunks):
            if number == self._spoken and not await self._opened(reader, asked):
                return False
            data = b"data: " + canonical(chunk) + b"\n\n"
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
        if told is None:
            return False
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        return True


def _head(status: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} Told", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    """One request, or None where the client has closed the connection."""
    line = await reader.readline()
    if not line:
        return None
    headers: dict[str, str] = {}
    while (header := (await reader.readline()).decode().strip()) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(line.split()[1].decode(), headers, msgspec.json.decode(body or b"null"))


def _streams(asked: Asked) -> bool:
    return isinstance(asked.body, dict) and bool(asked.body.get("stream"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _chunks(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """A completion in pieces: a word each, then the calls of tools, the end, and what it took."""
    message, ends = whole["choices"][0]["message"], whole["choices"][0]["finish_reason"]
    deltas: list[dict[str, Any]] = [
        {"content": word} for word in re.findall(r"\s*\S+\s*$|\s*\S+", message["content"] or "")
    ]
    calls = [{**call, "index": number} for number, call in enumerate(message.get("tool_calls", ()))]
    deltas += [{"tool_calls": calls}] if calls else []
    base = {**whole, "object": "chat.completion.chunk", "usage": None}
    found = [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    found.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": ends}]})
    return [*found, {**base, "choices": [], "usage": whole["usage"]}]


def _completion(asked: Any, told: str | Calls) -> dict[str, Any]:
    """A chat completion with this text, as the call of a tool where that is how to answer; or with calls of tools."""
    message: dict[str, Any] = {"role": "assistant", "content": told if isinstance(told, str) else told.text or None}
    calls: list[tuple[str, str]] = []
    tools: list[Any] = asked.get("tools") or []
    if isinstance(told, Calls):
        calls = [(one.tool, canonical(one.arguments).decode()) for one in told.calls]
    elif ANSWER in {tool["function"]["name"] for tool in tools}:
        calls, message["content"] = [(ANSWER, told)], None
    if calls:
        message["tool_calls"] = [
            {"id": f"call-{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(calls)
        ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }
