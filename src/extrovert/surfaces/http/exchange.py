"""An exchange: one request and its answer, as messages. What comes in is bounded in size and in time."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Scope, Send

from extrovert.surfaces.http.refusing import CLOSE, Refusal, refused

__all__ = ["Exchange"]

GONE: Message = {"type": "http.disconnect"}

TOO_LARGE = 413
LINGER_BYTES = 8 << 20
LINGER_S = 1.0
"""How much of a body that is too large is read and dropped before that is told, at most: most clients listen when they
have sent all, and hear nothing where the connection is closed on what they send."""


class Exchange:
    """Hands the messages of a request on. Once `refusal` is set, that is the answer, unless another one has `begun`.

    The route then hears that the client has gone, which ends it, and what it still answers goes nowhere. `gone` says
    that the client has really left.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body: int, within_s: float) -> None:
        self.begun = False
        self.gone = False
        self.refusal: Refusal | None = None
        self._scope = scope
        self._receive = receive
        self._send = send
        self._max_body = max_body
        self._within_s = within_s
        self._until_s: float | None = None
        self._read = 0
        self._whole = False

    async def receive(self) -> Message:
        """The next message from the client."""
        if self.refusal is not None:
            return GONE
        message = await (self._receive() if self._whole else self._part())
        self.gone = self.gone or (self.refusal is None and message["type"] == "http.disconnect")
        return message

    async def _part(self) -> Message:
        """The next part of the body, if it is there in time and not too much."""
        if self._until_s is None:
            self._until_s = asyncio.get_running_loop().time() + self._within_s
        try:
            async with asyncio.timeout_at(self._until_s):
                message = await self._receive()
        except TimeoutError:
            return self._cut(
                408, "too_slow", f"The body did not come within {self._within_s:g} seconds. Send it again."
            )
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._max_body:
                return self._cut(
                    TOO_LARGE, "too_large", f"The body has more than {self._max_body} bytes. Send less at a time."
                )
            self._whole = not message.get("more_body", False)
        return message

    def _cut(self, status: int, code: str, message: str) -> Message:
        self.refusal = Refusal(status, code, message, CLOSE)
        return GONE

    async def send(self, message: Message) -> None:
        """Sends a part of the answer."""
        if self.refusal is not None and not self.begun:
            return
        self.begun = True
        await self._send(message)

    async def end(self) -> None:
        """Answers with the refusal, if there is one and nothing has been answered yet."""
        if self.refusal is not None and not self.begun:
            self.begun = True
            if self.refusal.status == TOO_LARGE:
                await self._linger()
            await refused(self.refusal)(self._scope, self._receive, self._send)

    async def _linger(self) -> None:
        if any(name == b"expect" for name, _ in self._scope["headers"]):
            return  # it waits to hear whether to send the body
        try:
            async with asyncio.timeout(LINGER_S):
                while self._read <= LINGER_BYTES:
                    message = await self._receive()
                    self._read += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
        except TimeoutError:
            pass
