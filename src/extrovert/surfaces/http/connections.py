"""Connections: HTTP/1.1 on a socket, bounded in number, and in how long one may take to ask or to read the answer."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from extrovert.surfaces.http.refusing import Refusal, raw
from extrovert.surfaces.http.settings import Http

__all__ = ["Connection"]

BUSY = Refusal(503, "too_many_connections", "There are too many connections. Try again later, and keep fewer open.")
SLOW = Refusal(408, "too_slow", "The request did not come in time. Send it again.")
BAD = Refusal(400, "not_http", "This is no request of HTTP/1.1, or its head is too long.")

LINGERS_S = 1.0
"""So long what a client still sends is taken in and dropped: were the connection closed at once, it would be told that
before it could read why."""

_SILENT = logging.getLogger("extrovert.http.connections")
_SILENT.setLevel(logging.CRITICAL + 1)  # what clients do wrong is theirs; what we do wrong is told where it is caught


class Connection(H11Protocol):
    """A connection of uvicorn's that is not kept for those who keep it waiting."""

    def __init__(
        self,
        http: Http,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _SILENT
        self.access_log = False
        self._http = http
        self._asking: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._unread = 0
        self._left = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that we hear of it as soon as the client does not read
        if len(self.connections) > self._http.connections:
            self._leave(BUSY)
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        if self._left:
            return
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._asking, self._reading):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    # ---- the head of a request

    @property
    def _answering(self) -> bool:
        cycle = cast("Any", self.cycle)  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _watch(self) -> None:
        """Begins to wait for the head of a request, or ends that, as the connection is."""
        if self._answering:
            if self._asking is not None:
                self._asking.cancel()
            self._asking = None
        elif self._asking is None and not self.transport.is_closing():
            self._asking = self.loop.call_later(self._http.head_within.total_seconds(), self._too_slow)

    def _too_slow(self) -> None:
        self._asking = None
        if not self._answering:
            self._leave(SLOW)

    def send_400_response(self, msg: str) -> None:
        self._leave(BAD)

    def _leave(self, refusal: Refusal) -> None:
        if self._answering:  # a refusal would stand in the middle of an answer
            self.transport.close()
            return
        self._left = True
        self.transport.write(raw(refusal))
        self.transport.write_eof()
        self._asking = self.loop.call_later(LINGERS_S, self.transport.close)

    # ---- an answer that is not read

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()

    def _wait_for_reader(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self._http.reads_within.total_seconds(), self._not_read)

    def _not_read(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread:
            self._wait_for_reader()
        else:
            self.transport.abort()
