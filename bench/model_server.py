"""A model's server for benches: it speaks OpenAI's protocol as fast as it can, after the latency that it is told.

`python -m bench.model_server LATENCY_MS` prints its address, serves until its input ends, and then prints how many
requests it had. To a request in which no tool has answered yet it calls the tool; to any other it gives the answer, as
JSON, or as a call of the tool in which the client wants answers.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["ANSWER", "FLIGHT", "TOOL", "Served", "model_server"]

TOOL, FLIGHT = "seats_left", "F1"
ANSWER = {"flight_id": FLIGHT}
TOKENS_IN, TOKENS_OUT = 400, 20


def _response(message: dict[str, Any], ends: str) -> bytes:
    body = msgspec.json.encode(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_767_225_600,
            "model": "bench",
            "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": ends}],
            "usage": {
                "prompt_tokens": TOKENS_IN,
                "completion_tokens": TOKENS_OUT,
                "total_tokens": TOKENS_IN + TOKENS_OUT,
            },
        }
    )
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def _calling(tool: str, arguments: Any) -> bytes:
    function = {"name": tool, "arguments": msgspec.json.encode(arguments).decode()}
    calls = [{"id": "call-1", "type": "function", "function": function}]
    return _response({"content": None, "tool_calls": calls}, "tool_calls")


_CALL = _calling(TOOL, ANSWER)
_TEXT = _response({"content": msgspec.json.encode(ANSWER).decode()}, "stop")
_FINAL = _calling("final_result", ANSWER)


class _Connection(asyncio.Protocol):
    """One connection, which is kept; requests on it come one after the other."""

    def __init__(self, latency_s: float, count: Callable[[], None]) -> None:
        self._latency_s = latency_s
        self._count = count
        self._had = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._had += data
        head, found, body = self._had.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not found or len(body) < int(length):
            return
        self._had = b""
        self._count()
        answer = _CALL
        if b'"role":"tool"' in body.replace(b" ", b""):
            answer = _FINAL if b"final_result" in body else _TEXT
        if self._latency_s:
            asyncio.get_running_loop().call_later(self._latency_s, self._transport.write, answer)
        else:
            self._transport.write(answer)


class Served(msgspec.Struct):
    """The address of a server, and, when it has ended, how many requests it had."""

    url: str
    requests: int = 0


@asynccontextmanager
async def model_server(latency_ms: int) -> AsyncGenerator[Served]:
    """A server in a process of its own, as long as the block runs."""
    os.environ.setdefault("BENCH_KEY", "none")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.model_server", str(latency_ms),
        cwd=Path(__file__).parents[1], stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    served = Served((await process.stdout.readline()).decode().strip())
    try:
        yield served
    finally:
        process.stdin.close()
        served.requests = int((await process.stdout.readline()).decode() or 0)
        await process.wait()


async def _serve(latency_s: float) -> None:
    count = 0

    def one_more() -> None:
        nonlocal count
        count += 1

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(latency_s, one_more), "127.0.0.1", 0, backlog=4_096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(count, flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]) / 1_000))
