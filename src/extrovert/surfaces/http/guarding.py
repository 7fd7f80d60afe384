"""Guarding: the ASGI middleware that lets requests in, or answers them itself.

It stands before everything else that is reached by HTTP: who asks, from which site, how much, how often.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Hashable
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from extrovert.models.keys import without_keys
from extrovert.surfaces.http.exchange import Exchange
from extrovert.surfaces.http.keys import Keys, credential
from extrovert.surfaces.http.rates import Rates
from extrovert.surfaces.http.refusing import CLOSE, Refusal
from extrovert.surfaces.http.settings import Http

__all__ = ["OPEN", "Guard", "is_here"]

OPEN = frozenset({"/health"})
"""What is answered without a token."""

_LOG = logging.getLogger("extrovert")


class Guard:
    """Lets requests through to `inner` that may come in. A route finds in `request.state.user` who asks, or None."""

    def __init__(self, inner: ASGIApp, http: Http, keys: Keys, stopping: asyncio.Event) -> None:
        self._inner = inner
        self._http = http
        self._keys = keys
        self._stopping = stopping
        self._rates = Rates(http.per_minute)
        self._origins = frozenset(http.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "There are no WebSockets here."})
            return
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, self._http.max_body, self._http.body_within.total_seconds())
        try:
            user = await self._admitted(scope, Headers(scope=scope))
            await self._inner(_with_user(scope, user), exchange.receive, exchange.send)
        except Refusal as refusal:
            exchange.refusal = exchange.refusal or refusal
        except Exception as error:
            if exchange.refusal is None and not exchange.gone:
                _note(scope, error)
                exchange.refusal = failed()
        await exchange.end()

    async def _admitted(self, scope: Scope, headers: Headers) -> str | None:
        """Who asks, as far as that is known. Raises `Refusal` for what may not come in."""
        if self._stopping.is_set():
            raise Refusal(503, "stopping", "The engine is stopping. Ask again when it runs.", CLOSE)
        if not self._keys.needed:
            _check_here(scope, headers)
        self._check_origin(headers)
        self._check_size(headers)
        fits, user = self._keys.fits(headers)
        wait_s = self._rates.take(("user", user) if user is not None else (fits, _address(scope)))
        if wait_s:
            seconds = ceil(wait_s)
            message = f"More than {self._http.per_minute} requests a minute. Ask again in {seconds} s, and less often."
            raise Refusal(429, "too_many_requests", message, {"retry-after": str(seconds)})
        if _path(scope) in OPEN:
            return user
        return await self._keys.known(headers, fits, user)

    def _check_origin(self, headers: Headers) -> None:
        """A page of another site may not ask in the name of the person who looks at it."""
        origin = headers.get("origin")
        if origin is None or origin in self._origins:
            return
        if origin.partition("://")[2].lower() != headers.get("host", "").lower():
            message = f"Pages of {origin!r} may not ask here. If they may, name that site: Http(origins=[…])."
            raise Refusal(403, "other_site", message)

    def _check_size(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._http.max_body:
            message = f"The body has more than {self._http.max_body} bytes. Send less at a time."
            raise Refusal(413, "too_large", message, CLOSE)


def failed() -> Refusal:
    """What is told of an error of ours: not which."""
    return Refusal(500, "failed", "The server failed at this request. What happened is in its own output.")


def is_here(name: str) -> bool:
    """Whether a host, by name or address, is this machine and no other."""
    try:
        return name.lower() == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _check_here(scope: Scope, headers: Headers) -> None:
    """Without a token only programs of this machine may ask, and by its name: any site may name an address of its own
    that leads here, and its pages would then be of the same site."""
    client = scope.get("client")
    if client is None or not is_here(client[0]):
        message = "Without a token only this machine may ask. Set one: EXTROVERT_TOKEN, or Http(token_env=…)."
        raise Refusal(403, "not_this_machine", message)
    host = headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not is_here(name):
        message = f"The header Host names {host!r}. Ask for localhost or 127.0.0.1, or set a token: EXTROVERT_TOKEN."
        raise Refusal(421, "other_host", message)


def _address(scope: Scope) -> Hashable:
    """What stands for a client that is not known by name: its address, and where one has many, their network."""
    client = scope.get("client")
    if client is None:
        return None
    try:
        address = ip_address(client[0])
    except ValueError:
        return client[0]
    return IPv6Network((address, 64), strict=False) if isinstance(address, IPv6Address) else address


def _path(scope: Scope) -> str:
    """The path within this app, which may be mounted in another one."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _with_user(scope: Scope, user: str | None) -> Scope:
    return {**scope, "state": {**scope.get("state", {}), "user": user}}


def _note(scope: Scope, error: Exception) -> None:
    """Tells the program's own log what failed, without what the request showed to come in."""
    text = without_keys("".join(traceback.format_exception(error)))
    shown = credential(Headers(scope=scope))
    if shown:
        text = text.replace(shown, "[key]")
    _LOG.error("HTTP: %s %r failed: %s", scope["method"], scope["path"], text)
