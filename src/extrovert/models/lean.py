"""OpenAI's client for many small requests: chat completions go out, and come back, without being typed over again.

The client's own `create` walks through each request and each answer by their type annotations, and sends them through
three layers: 4 ms of the processor for a request, where JSON over aiohttp takes 0.5. This client does that for answers
that are not streamed; all else is OpenAI's.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
import msgspec
import pydantic
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, NotGiven, Omit
from openai.types.chat import ChatCompletion

__all__ = ["LeanOpenAI"]

PATH = "/chat/completions"
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
APART = frozenset({"extra_headers", "extra_query", "extra_body", "timeout", "stream"})
"""The parameters of `create` that are no fields of the request."""


class LeanOpenAI(AsyncOpenAI):
    """OpenAI's client, whose connections are kept and not counted: as many as there are requests under way."""

    _session: aiohttp.ClientSession | None = None

    @cached_property
    def chat(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Chat(self, super().chat)

    @cached_property
    def sent_headers(self) -> dict[str, str]:
        """The headers of every request."""
        known = {**self.default_headers, **self.auth_headers, "Content-Type": "application/json"}
        return {name: value for name, value in known.items() if isinstance(value, str)}

    @cached_property
    def proxy(self) -> str | None:
        """The HTTP proxy that leads to the provider where the environment says so: `HTTPS_PROXY`, `NO_PROXY`, …"""
        host, known = self.base_url.host, getproxies()
        if host in HERE or proxy_bypass(host):
            return None
        found = known.get(self.base_url.scheme) or known.get("all") or ""
        found = f"http://{found}" if found and "://" not in found else found
        return found if found.startswith("http") else None

    @cached_property
    def sent_to(self) -> str:
        """The address of every request."""
        return str(self.base_url).rstrip("/") + PATH

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections."""
        if self._session is None:
            unlimited = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=unlimited, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def close(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()
        await super().close()


class _Chat:
    """Takes the place of `client.chat`."""

    def __init__(self, client: LeanOpenAI, own: Any) -> None:
        self.completions = _Completions(client, own.completions)


class _Completions:
    """Takes the place of `client.chat.completions`."""

    def __init__(self, client: LeanOpenAI, own: Any) -> None:
        self._client = client
        self._own = own

    async def create(self, **parameters: Any) -> Any:
        """A completion. Raises what OpenAI's client does, but tries only once."""
        if parameters.get("stream") is True or not isinstance(parameters.get("extra_query", Omit()), Omit | NotGiven):
            return await self._own.create(**parameters)
        body = {name: value for name, value in parameters.items() if name not in APART and _given(value)}
        body |= parameters.get("extra_body") or {}
        more: dict[str, str] = parameters.get("extra_headers") or {}
        headers = {**self._client.sent_headers, **more}
        url, proxy, timeout = self._client.sent_to, self._client.proxy, _timeout(parameters.get("timeout"))
        try:
            async with self._client.session.post(
                url, data=msgspec.json.encode(body), headers=headers, timeout=timeout, proxy=proxy
            ) as response:
                content = await response.read()
        except TimeoutError as error:
            raise APITimeoutError(httpx2.Request("POST", url)) from error
        except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
            raise APIConnectionError(request=httpx2.Request("POST", url)) from error
        if response.status >= 400:
            raise _refused(url, response, content)
        return _completion(content)


def _given(value: Any) -> bool:
    return not isinstance(value, Omit | NotGiven)


def _timeout(given: Any) -> aiohttp.ClientTimeout:
    """The time for a whole request."""
    seconds = given.read if isinstance(given, httpx2.Timeout) else given if isinstance(given, int | float) else None
    return aiohttp.ClientTimeout(total=seconds)


def _refused(url: str, response: aiohttp.ClientResponse, content: bytes) -> APIStatusError:
    """The error for an answer that says no."""
    told = httpx2.Response(
        response.status,
        headers=[(name, value) for name, value in response.headers.items() if name.lower() != "content-encoding"],
        content=content,
        request=httpx2.Request("POST", url),
    )
    try:
        body: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = content.decode(errors="replace")
    detail: Any = cast(dict[str, Any], body).get("error", cast(Any, body)) if isinstance(body, dict) else body
    return APIStatusError(f"Error code: {response.status}", response=told, body=detail)


def _completion(content: bytes) -> Any:
    """The completion; from servers that leave things out, as OpenAI's client makes one; as text, where it is none."""
    try:
        return ChatCompletion.model_validate_json(content)
    except pydantic.ValidationError:
        pass
    try:
        found: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content.decode(errors="replace")
    return ChatCompletion.construct(**cast(dict[str, Any], found)) if isinstance(found, dict) else found
